package terminal

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"a plain name.txt": "a plain name.txt",
		`say "hi" it's`:    `say "hi" it's`,
		"été 漢字":           "été 漢字",
		"two\nlines\r\t":   `two\nlines\r\t`,
		"\x1b[31mred":      `\x1b[31mred`,
		"\u009b31m\x9b31m": `\u009b31m\x9b31m`,
		"a\u202etxt.exe":   `a\u202etxt.exe`,
		"a\u2066b\u2069":   `a\u2066b\u2069`,
		"zero\u200bwidth":  `zero\u200bwidth`,
		"a\u2028b\u2029":   `a\u2028b\u2029`,
		"blank\u3164":      `blank\u3164`,
		"braille\u2800":    `braille\u2800`,
		"tag\U000e0041":    `tag\U000e0041`,
		"\xff\x00\x7f":     `\xff\x00\x7f`,
		`back\nslash`:      `back\\nslash`,
		"no\u00a0break":    `no\u00a0break`,
		"":                 "",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean(strings.Repeat("é", 5000)); got != strings.Repeat("é", maxClean)+"…" {
		t.Errorf("a long string becomes %d bytes", len(got))
	}
}

// FuzzClean: whatever a name holds, what is shown of it is printable, is bounded, and
// stands for that name alone: it can be read back.
func FuzzClean(f *testing.F) {
	f.Add("a\x1b]52;c;?\a\u202e\xff\n")
	f.Add("\"quoted\" \\ 'and' \u2800\U000e0041")
	f.Fuzz(func(t *testing.T, s string) {
		shown := Clean(s)
		for _, r := range shown {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar && !strings.ContainsRune(s, r) {
				t.Errorf("Clean(%q) has %q", s, r)
			}
		}
		if utf8.RuneCountInString(s) > maxClean {
			return
		}
		if back, err := strconv.Unquote("\"" + strings.ReplaceAll(shown, "\"", "\\\"") + "\""); err != nil || back != s {
			t.Errorf("Clean(%q) is %q, which reads as %q: %v", s, shown, back, err)
		}
	})
}
