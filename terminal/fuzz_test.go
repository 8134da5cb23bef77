package terminal

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// permitted is what output may consist of, written apart from the filter: an
// oracle for the fuzzer. Parameters are judged by forbidden.
var (
	permitted = regexp.MustCompile(`^(?:[\x07-\x0f\x20-\x7e\x{a0}-\x{10ffff}]` +
		`|\x1b[78DEMc=>]|\x1b[()*+][012ABKU]|\x1b%G` +
		"|\x1b\\[[0-9;:]*[@A-MPSTXZ^`abdefmrsuhlt]|\x1b\\[\\?[0-9;]*[hl]|\x1b\\[\\?[0-9;:]*[JK]|\x1b\\[[0-9;:]* q|\x1b\\[[0-9;:]*!p" +
		`|\x1b\][012];[^\x00-\x1f\x7f-\x{9f}]*(?:\x07|\x1b\\)|\x1b\]8;[!-~]*;(?:https?://[!-~]*)?(?:\x07|\x1b\\))*$`)
	forbidden = regexp.MustCompile(`[\x00-\x06\x10-\x1a\x7f\x{80}-\x{9f}]|\x1b\][0-9]*;\?[\x07\x1b]` +
		`|\x1b\[(?:[013-9]|2[014-9]?|[013-9][0-9]|)(?:;[0-9;:]*)?t|\x1b\[(?:2|12|20|)[hl]|\x1b\[\?(?:[0-9;]*;)?(?:2|38|46|9001|2048|2031|5522)(?:;[0-9;]*)?[hl]|\x1b\[[^@-~]*[0-9]{6}`)
)

func FuzzFilter(f *testing.F) {
	for _, c := range dropped {
		raw, encoded := eightBit(c.seq)
		f.Add([]byte(c.seq), uint16(1))
		f.Add([]byte(raw+c.seq+encoded), uint16(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		whole, answers := filtered(t, string(data))
		if !utf8.ValidString(whole) || !permitted.MatchString(whole) {
			t.Errorf("%q passes as %q", data, whole)
		}
		if found := forbidden.FindString(escapes(whole)); found != "" {
			t.Errorf("%q passes as %q, with %q", data, whole, found)
		}
		n := int(cut) % (len(data) + 1)
		if halves, _ := filtered(t, string(data[:n]), string(data[n:])); halves != whole {
			t.Errorf("cut at %d, %q passes as %q and as %q", n, data, halves, whole)
		}
		var bytewise []string
		for _, b := range data {
			bytewise = append(bytewise, string([]byte{b}))
		}
		if got, a := filtered(t, bytewise...); got != whole || a != answers {
			t.Errorf("byte by byte, %q passes as %q and as %q", data, got, whole)
		}
		if again, _ := filtered(t, whole); again != whole {
			t.Errorf("%q passes as %q, and that as %q", data, whole, again)
		}
	})
}

// escapes is s without the plain text between sequences, in which digits may
// stand in any number.
func escapes(s string) string {
	return strings.Join(regexp.MustCompile("[\x00-\x06\x10-\x1a\x7f]|[\u0080-\u009f]|\x1b\\[[ -?]*[@-~]|\x1b\\][^\x07\x1b]*[\x07\x1b]").FindAllString(s, -1), "\n")
}
