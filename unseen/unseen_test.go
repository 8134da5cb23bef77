package unseen

import (
	"fmt"
	"testing"
)

func TestIn(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain, é, 漢字\n\tfour\r\n": "", "👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3 न\u200dय": "", "\xff\xfe": "", "a\xff": "",
		"a\u200bb\u202ec": "1 U+200B 5 U+202E", "❤\ufe0f\ufe0f": "6 U+FE0F", "a\u200db": "1 U+200D", "\xff\u2060": "1 U+2060", "\x1b[2J": "0 U+001B",
		"\U000e0041": "0 U+E0041", "a\U000e0101": "1 U+E0101", "\u2800\u3164": "0 U+2800 3 U+3164",
	} {
		got := ""
		for i, c := range In(text) {
			got += fmt.Sprintf("%d %U ", i, c.Rune)
			if !Is(c.Rune) || c.What == "" {
				t.Errorf("%q: %+v", text, c)
			}
		}
		if want != "" {
			want += " "
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
