package terminal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filtered is what a terminal gets of the pieces, and what a program is answered.
func filtered(t testing.TB, pieces ...string) (out, answers string) {
	t.Helper()
	var b, a bytes.Buffer
	f := NewFilter(&b)
	f.Answer = func(p []byte) { a.Write(p) }
	for _, p := range pieces {
		if n, err := f.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", p, n, err)
		}
	}
	return b.String(), a.String()
}

// eightBit gives the two 8-bit forms of what begins with ESC and a letter.
func eightBit(s string) (raw, encoded string) {
	var r, e strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == esc && i+1 < len(s) && s[i+1] >= 0x40 && s[i+1] < 0x60 {
			i++
			r.WriteByte(s[i] + 0x40)
			e.WriteRune(rune(s[i]) + 0x40)
			continue
		}
		r.WriteByte(s[i])
		e.WriteByte(s[i])
	}
	return r.String(), e.String()
}

var dropped = []struct{ name, seq string }{
	{"clipboard write", "\x1b]52;c;aGk=\a"},
	{"clipboard read", "\x1b]52;c;?\x1b\\"},
	{"clipboard, empty selection", "\x1b]52;;aGk=\a"},
	{"clipboard, leading zero", "\x1b]052;c;aGk=\a"},
	{"kitty clipboard", "\x1b]5522;type=read;Lg==\x1b\\"},
	{"DCS", "\x1bPhello\x1b\\"},
	{"DECRQSS", "\x1bP$qm\x1b\\"},
	{"XTGETTCAP", "\x1bP+q544e\x1b\\"},
	{"tmux passthrough", "\x1bPtmux;\x1b\x1b]52;c;aGk=\a\x1b\\"},
	{"sixel", "\x1bPq#0;2;0;0;0~~@@\x1b\\"},
	{"user defined keys", "\x1bP0;1|17/0d\x1b\\"},
	{"SOS", "\x1bXhello\x1b\\"},
	{"PM", "\x1b^hello\x1b\\"},
	{"APC", "\x1b_hello\x1b\\"},
	{"kitty graphics", "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"},
	{"screen title", "\x1bkhello\x1b\\"},
	{"ENQ", "\x05"},
	{"DECID", "\x1bZ"},
	{"DA1", "\x1b[c"}, {"DA1 0", "\x1b[0c"}, {"DA2", "\x1b[>c"}, {"DA2 0", "\x1b[>0c"}, {"DA3", "\x1b[=c"},
	{"DSR", "\x1b[5n"}, {"CPR", "\x1b[6n"}, {"DECXCPR", "\x1b[?6n"}, {"DSR theme", "\x1b[?996n"}, {"XTMODKEYS off", "\x1b[>4n"},
	{"DECREQTPARM", "\x1b[x"}, {"DECREQTPARM 1", "\x1b[1x"},
	{"DECRQM", "\x1b[4$p"}, {"DECRQM private", "\x1b[?2026$p"},
	{"XTVERSION", "\x1b[>q"}, {"XTVERSION 0", "\x1b[>0q"},
	{"XTQMODKEYS", "\x1b[?4m"},
	{"DECRQCRA", "\x1b[1;1;1;1;1;1*y"},
	{"DECRQPSR", "\x1b[1$w"}, {"DECRQTSR", "\x1b[1$u"}, {"DECRQUPSS", "\x1b[&u"},
	{"XTSMGRAPHICS", "\x1b[?1;1;0S"},
	{"XTREPORTSGR", "\x1b[1;1;1;1#|"}, {"XTREPORTCOLORS", "\x1b[#R"},
	{"window position", "\x1b[13t"}, {"window size", "\x1b[14t"}, {"screen size", "\x1b[15t"}, {"cell size", "\x1b[16t"},
	{"text size", "\x1b[18t"}, {"screen text size", "\x1b[19t"}, {"icon label", "\x1b[20t"}, {"title report", "\x1b[21t"},
	{"state report", "\x1b[11t"}, {"title report, zeros", "\x1b[021t"}, {"iconify", "\x1b[2t"}, {"resize", "\x1b[8;1;1t"},
	{"XTSMTITLE", "\x1b[>2t"},
	{"kitty keys query", "\x1b[?u"}, {"kitty keys push", "\x1b[>1u"}, {"kitty keys set", "\x1b[=1;1u"}, {"kitty keys pop", "\x1b[<u"},
	{"modifyOtherKeys", "\x1b[>4;2m"},
	{"win32 input", "\x1b[?9001h"},
	{"colour query", "\x1b]4;1;?\a"}, {"foreground query", "\x1b]10;?\a"}, {"background query", "\x1b]11;?\x1b\\"},
	{"cursor colour query", "\x1b]12;?\a"}, {"highlight query", "\x1b]17;?\a"}, {"kitty colours", "\x1b]21;foreground=?\x1b\\"},
	{"background set", "\x1b]11;#000000\a"},
	{"font query", "\x1b]50;?\a"}, {"font set", "\x1b]50;#1\a"},
	{"title query", "\x1b]0;?\a"}, {"X property", "\x1b]3;WM_CLASS=x\a"}, {"title, odd number", "\x1b]00;x\a"}, {"title, no number", "\x1b];x\a"},
	{"working directory", "\x1b]7;file:///etc\a"}, {"notification", "\x1b]9;hi\a"}, {"notification urxvt", "\x1b]777;notify;a;b\a"},
	{"notification kitty", "\x1b]99;;hi\x1b\\"}, {"prompt mark", "\x1b]133;A\a"}, {"iTerm file", "\x1b]1337;File=inline=1:aGk=\a"},
	{"link to a file", "\x1b]8;;file:///etc/passwd\x1b\\"}, {"link to a program", "\x1b]8;;ssh://-oProxyCommand=x/\x1b\\"},
	{"link with a control", "\x1b]8;;https://a/\n\x1b\\"}, {"link too long", "\x1b]8;;https://" + strings.Repeat("a", 2100) + "\x1b\\"},
	{"printer on", "\x1b[5i"}, {"printer, private", "\x1b[?5i"},
	{"keyboard lock", "\x1b[2h"}, {"local echo off", "\x1b[12h"}, {"new line mode", "\x1b[20h"},
	{"VT52", "\x1b[?2l"}, {"VT52 among others", "\x1b[?25;2l"}, {"VT52 leave", "\x1b<"}, {"Tektronix", "\x1b[?38h"}, {"logging", "\x1b[?46h"},
	{"size reports", "\x1b[?2048h"}, {"theme reports", "\x1b[?2031h"}, {"clipboard mode", "\x1b[?5522h"}, {"highlight mouse", "\x1b[?1001h"},
	{"save modes", "\x1b[?1000s"}, {"restore modes", "\x1b[?1000r"},
	{"leave UTF-8", "\x1b%@"}, {"8-bit answers", "\x1b G"}, {"conformance level", "\x1b[61;2\"p"},
	{"locking shift right", "\x1b~"}, {"tab stops gone", "\x1b[3g"}, {"LEDs", "\x1b[1q"},
	{"overflow", "\x1b[2147483648A"}, {"six digits", "\x1b[100000b"}, {"too long", "\x1b[" + strings.Repeat("1;", 200) + "m"},
	{"marker in the middle", "\x1b[1?25h"}, {"byte after intermediate", "\x1b[ 1q"}, {"two markers", "\x1b[>?c"},
	{"palette of the Linux console", "\x1b]P0ffffff"}, {"palette reset", "\x1b]R"},
	{"NUL", "\x00"}, {"XOFF", "\x13"}, {"printer DC2", "\x12"}, {"DEL", "\x7f"},
	{"cancelled", "\x1b[31\x18"}, {"substituted", "\x1b]0;x\x1a"}, {"cancelled string", "\x1bPabc\x18"},
	{"control amid a query", "\x1b[\x006n"}, {"two ESC", "\x1b\x1b[6n"}, {"ESC in a string", "\x1bP\x1b[6n"}, {"stray terminator", "\x1b\\"},
}

func TestFilterDrops(t *testing.T) {
	for _, c := range dropped {
		raw, encoded := eightBit(c.seq)
		for form, seq := range map[string]string{"7-bit": c.seq, "8-bit": raw, "8-bit in UTF-8": encoded} {
			if got, _ := filtered(t, "a"+seq+"b"); got != "ab" {
				t.Errorf("%s, %s: %q passes as %q", c.name, form, seq, got)
			}
		}
	}
}

func TestFilterPasses(t *testing.T) {
	for _, seq := range []string{
		"plain\r\n\ttext\b\a\v\f\x0e\x0f", "é – 漢字 👩‍💻 \u202e", "\ufffd",
		"\x1b[m", "\x1b[0m", "\x1b[1;38;5;208;48;2;1;2;3m", "\x1b[4:3m", "\x1b[58:2::1:2:3m",
		"\x1b[A", "\x1b[12;40H", "\x1b[999;999H", "\x1b[2J", "\x1b[3J", "\x1b[K", "\x1b[5L", "\x1b[5M", "\x1b[2@", "\x1b[2P", "\x1b[3X", "\x1b[4b",
		"\x1b[s\x1b[u", "\x1b7\x1b8", "\x1bM\x1bD\x1bE", "\x1b=\x1b>", "\x1bc", "\x1b[!p",
		"\x1b[1;24r", "\x1b[r", "\x1b[2S", "\x1b[2T", "\x1b[4h\x1b[4l", "\x1b[34h",
		"\x1b[?1049h\x1b[?1049l", "\x1b[?25l", "\x1b[?7l", "\x1b[?1h", "\x1b[?2004h", "\x1b[?2026h", "\x1b[?1000;1006;1015h", "\x1b[?1003h", "\x1b[?1004h",
		"\x1b[2 q", "\x1b(0", "\x1b)B", "\x1b%G", "\x1b[22;0;0t", "\x1b[23;2t",
		"\x1b]0;title\a", "\x1b]2;título – 漢\x1b\\", "\x1b]1;\a",
		"\x1b]8;;https://example.org/?a=b;c\x1b\\link\x1b]8;;\x1b\\", "\x1b]8;id=7;http://x/\atext\x1b]8;;\a",
	} {
		if got, _ := filtered(t, seq); got != seq {
			t.Errorf("%q passes as %q", seq, got)
		}
	}
}

func TestFilterChanges(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\x9b31mred", "\x1b[31mred"},
		{"\u009b31mred", "\x1b[31mred"},
		{"\x85", "\x1bE"},
		{"\x9d0;t\x9c", "\x1b]0;t\x1b\\"},
		{"\xe9t\xe9.", "\ufffdt\ufffd."},
		{"\xc1\x9b6n\xe0\x82\x9b6n", "\ufffd\ufffd"}, // overlong CSI
		{"\xe2\x9b6n", "\ufffd"},                     // a character cut short by what looks like CSI
		{"\x1b]0;a\nb\u202ec\x01d\a", "\x1b]0;abcd\a"},
		{"\x1b]2;" + strings.Repeat("é", 300) + "\a", "\x1b]2;" + strings.Repeat("é", 256) + "\a"},
		{"\x1b]0;“quoted”\a", "\x1b]0;“quoted”\a"}, // contains the byte 0x9c
		{"\x1b[3\r1mx", "\r\x1b[31mx"},
		{"\x1bé", "é"},
		{"\x1b]0;one\x1b]0;two\a", "\x1b]0;two\a"},
		{"\x1b]52;c;" + strings.Repeat("A", 5000) + "\aafter", "after"},
	} {
		if got, _ := filtered(t, c.in); got != c.want {
			t.Errorf("%q passes as %q, want %q", c.in, got, c.want)
		}
	}
}

func TestFilterResynchronises(t *testing.T) {
	for _, start := range []string{"\x1bP", "\x1b]0;", "\x1b]52;c;", "\x1b_G", "\x9e"} {
		var b bytes.Buffer
		f := NewFilter(&b)
		chunk := bytes.Repeat([]byte("x"), 1000)
		f.Write([]byte(start))
		for range 100 {
			f.Write(chunk)
		}
		if n := b.Len(); n == 0 || n >= 100_000-maxString+1000 {
			t.Errorf("%q: %d bytes of 100,000 pass", start, n)
		}
		if cap(f.seq) > 4*maxOSC {
			t.Errorf("%q: %d bytes kept", start, cap(f.seq))
		}
	}
}

func TestFilterAnswers(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[c": "\x1b[?6c", "\x9b0c": "\x1b[?6c", "\x1b[5n": "\x1b[0n",
		"\x1b[6n": "", "\x1b[>c": "", "\x1b[1c": "", "\x1b[?5n": "", "\x05": "",
	} {
		if _, got := filtered(t, in); got != want {
			t.Errorf("%q is answered %q, want %q", in, got, want)
		}
	}
	if n, err := NewFilter(&bytes.Buffer{}).Write([]byte("\x1b[c")); n != 3 || err != nil {
		t.Error("without Answer:", n, err)
	}
}

func TestFilterReset(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain\n", ""},
		{"\x1b[1mx\x1b[0m", ""},
		{"\x1b[1mx", "\x1b[0m"},
		{"\x1b[?1049h\x1b[?1000;1006h\x1b[?25l", "\x1b[?1000l\x1b[?1006l\x1b[?1049l\x1b[?25h"},
		{"\x1b[?1049h\x1b[?1049l", ""},
		{"\x1b[4h\x1b[34h", "\x1b[4l"},
		{"\x1b]8;;https://x/\x1b\\a", "\x1b]8;;\x1b\\"},
		{"\x1b]8;;https://x/\x1b\\a\x1b]8;;\x1b\\", ""},
		{"\x1b(0\x0e\x1b=", "\x0f\x1b(B\x1b>"},
		{"\x1b[2;5r\x1b[4 q", "\x1b[0 q\x1b7\x1b[r\x1b8"},
		{"\x1b[?1003h\x1bc", ""},
		{"\x1b]0;unfinished", ""},
	} {
		var b bytes.Buffer
		f := NewFilter(&b)
		f.Write([]byte(c.in))
		b.Reset()
		if err := f.Reset(); err != nil || b.String() != c.want {
			t.Errorf("after %q, Reset writes %q, want %q (%v)", c.in, b.String(), c.want, err)
		}
		if again, _ := filtered(t, b.String()); again != b.String() {
			t.Errorf("Reset's %q does not itself pass", b.String())
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }

func TestFilterReportsErrors(t *testing.T) {
	if _, err := NewFilter(failing{}).Write([]byte("x")); err == nil {
		t.Error("an error of the terminal is not reported")
	}
}

// TestFilterCorpora plays what real programs wrote on a terminal. All of it
// passes, but for what is named.
func TestFilterCorpora(t *testing.T) {
	drop := map[string][]string{
		"vim.out": {"\x1b[?4m"},
		"vim-queries.out": {"\x1b[?4m", "\x1b[>4;2m", "\x1b[>4;m", "\x1b[>c", "\x1b[6n", "\x1bPzz\x1b\\", "\x1b[0%m",
			"\x1b]10;?\a", "\x1b]11;?\a"},
		"tmux.out": {"\x1b[>c", "\x1b[>q", "\x1b[?7727l"},
	}
	files, _ := filepath.Glob("testdata/*.out")
	if len(files) < 6 {
		t.Fatalf("only %d corpora", len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := string(data)
		for _, seq := range drop[filepath.Base(file)] {
			if !strings.Contains(want, seq) {
				t.Errorf("%s does not have %q", file, seq)
			}
			want = strings.ReplaceAll(want, seq, "")
		}
		if got, _ := filtered(t, string(data)); got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s: at byte %d: %.60q, want %.60q", file, i, got[i:], want[i:])
		}
		if got, _ := filtered(t, strings.Split(string(data), "")...); got != want {
			t.Errorf("%s: character by character differs", file)
		}
	}
}
