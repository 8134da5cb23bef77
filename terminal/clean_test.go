package terminal

import (
	"strings"
	"testing"
	"unicode"
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

func FuzzClean(f *testing.F) {
	f.Add("a\x1b]52;c;?\a\u202e\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Clean(s) {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar && !strings.ContainsRune(s, r) {
				t.Errorf("Clean(%q) has %q", s, r)
			}
		}
	})
}
