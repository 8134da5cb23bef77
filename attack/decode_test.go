package attack

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"nacre/attack/wire"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{`{"probe":"a.b","verdict":"contained","evidence":"x","secret":"y"}`, true},
		{`{"probe":"a.b","verdict":"started"}`, true},
		{``, false}, {`null`, false}, {`[]`, false}, {`"x"`, false}, {`{}`, false},
		{`{"probe":"","verdict":"contained"}`, false},
		{`{"probe":"a.b","verdict":"fine"}`, false},
		{`{"probe":"a.b"}`, false},
		{`{"probe":"a.b","verdict":"contained","verdict":"escaped"}`, false},
		{`{"probe":"a.b","Verdict":"contained"}`, false},
		{`{"probe":"a.b","verdict":"contained","more":"x"}`, false},
		{`{"probe":"a.b","verdict":1}`, false},
		{`{"probe":"a.b","verdict":"contained","evidence":{"a":"b"}}`, false},
		{`{"probe":"a.b","verdict":"contained"} `, true},
		{`{"probe":"a.b","verdict":"contained"}{}`, false},
		{`{"probe":"a.b","verdict":"contained"`, false},
		{"{\"probe\":\"a.b\",\"verdict\":\"contained\",\"evidence\":\"\xff\"}", false},
	} {
		if _, ok := decode([]byte(c.line)); ok != c.ok {
			t.Errorf("%s: %v", c.line, ok)
		}
	}
}

func TestCollector(t *testing.T) {
	specs := []wire.Spec{{ID: "a.b"}, {ID: "a.c"}}
	good := `{"probe":"a.b","verdict":"contained"}` + "\n"
	for _, c := range []struct {
		name, output string
		results      int
		twice        bool
		noise        int
	}{
		{"plain", good, 1, false, 0},
		{"carriage return", strings.ReplaceAll(good, "\n", "\r\n"), 1, false, 0},
		{"garbage around", "x\n" + good + "\x00\x1b[2J\n", 1, false, 2},
		{"twice", good + good, 1, true, 0},
		{"not asked for", `{"probe":"z.z","verdict":"contained"}` + "\n", 0, false, 1},
		{"a line too long", strings.Repeat("x", maxLine+1) + good + good, 1, false, 1},
		{"evidence too long", `{"probe":"a.b","verdict":"contained","evidence":"` + strings.Repeat("x", maxLine) + "\"}\n", 0, false, 1},
		{"never a newline", strings.Repeat("x", 3*maxLine), 0, false, 0},
	} {
		whole := newCollector(specs, 1<<20, "")
		whole.Write([]byte(c.output))
		bytewise := newCollector(specs, 1<<20, "")
		for i := range c.output {
			bytewise.Write([]byte{c.output[i]})
		}
		for _, got := range []*collector{whole, bytewise} {
			if len(got.results) != c.results || got.twice["a.b"] != c.twice || got.noise != c.noise {
				t.Errorf("%s: %d results, twice %v, noise %d", c.name, len(got.results), got.twice["a.b"], got.noise)
			}
			if cap(got.line) > 4*maxLine {
				t.Errorf("%s: keeps %d bytes", c.name, cap(got.line))
			}
		}
	}
}

func TestCollectorStopsAtItsLimit(t *testing.T) {
	c := newCollector(nil, 100, "")
	if _, err := c.Write(make([]byte, 100)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := c.Write(make([]byte, 1)); err == nil {
		t.Error("over the limit: no error")
	}
}

func TestCleanShowsNothingThatATerminalObeys(t *testing.T) {
	for _, s := range []string{"\x1b]52;c;x\x07", "a\nb\r\t", "\u202e", "\xff\xfe", strings.Repeat("\x1b", 1000), "\u009b2J"} {
		got := clean(s)
		if strings.ContainsAny(got, "\x1b\x07\n\r\t\u202e\u009b") || !utf8.ValidString(got) || len(got) > 6*maxEvidence {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

func FuzzCollector(f *testing.F) {
	f.Add([]byte(`{"probe":"a.b","verdict":"contained","evidence":"x"}` + "\n"))
	f.Add([]byte("\x1b]52;c;nacre-escape-x\x07\n{\"probe\":\"a.b\",\"verdict\":\"escaped\",\"secret\":\"\\u0000\"}\n"))
	f.Add(bytes.Repeat([]byte("{"), 5000))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCollector([]wire.Spec{{ID: "a.b"}}, 1<<20, escapeMarker("x"))
		c.Write(data)
		for id, r := range c.results {
			if id != "a.b" || r.Verdict == wire.Started || r.Verdict == "" {
				t.Fatalf("accepted %q %q", id, r.Verdict)
			}
			if s := clean(r.Evidence); strings.ContainsAny(s, "\x1b\n\r\u202e") {
				t.Fatalf("evidence %q", s)
			}
		}
	})
}
