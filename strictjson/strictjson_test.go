package strictjson

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestBounds(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	many := func(n int) []byte { return []byte("[" + strings.Repeat("1,", n-2) + "1]") }
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{"deep": {nested(maxDepth), true}, "deeper": {nested(maxDepth + 1), false}, "many": {many(maxValues), true}, "more": {many(maxValues + 1), false}} {
		if _, err := Parse(c.b, true); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte(`{"a":1,"A":2}`), false); err != nil {
		t.Errorf("a server may have keys that differ in case: %v", err)
	}
	if _, err := Parse([]byte(`{"a":1,"\u0061":2}`), false); err == nil {
		t.Error("but none twice")
	}
}

// TestLines: a line that is too long is left out, and the next one is read.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	lines := NewLines(strings.NewReader("a\n\n \r\n"+long+"\nb\r\n"+long[:20]+"\n"+long[:21]+"\nc\nrest"), 21)
	for _, want := range []string{"a", "", "b", long[:20], "", "c"} {
		line, err := lines.Next()
		if string(line) != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrLong) {
			t.Errorf("%q, %v; want %q", line, err, want)
		}
	}
	if line, err := lines.Next(); line != nil || err != io.EOF {
		t.Errorf("%q, %v: what has no end is none", line, err)
	}
}

type sample struct {
	Text string   `json:"text"`
	List []pair   `json:"list,omitempty"`
	One  *pair    `json:"one,omitempty"`
	Data []byte   `json:"data,omitempty"`
	Own  []string `json:"-"`
}

type pair struct {
	A int64 `json:"a"`
}

// TestDecode: keys are what they are, at every depth: not nearly, not twice, no others.
func TestDecode(t *testing.T) {
	var s sample
	if err := Decode([]byte(`{"text":"x","list":[{"a":1},{"a":2}],"one":{"a":3},"data":"aGk="}`), &s); err != nil || s.List[1].A != 2 || s.One.A != 3 || string(s.Data) != "hi" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, text := range map[string]string{
		"unknown": `{"txt":"x"}`, "case": `{"Text":"x"}`, "twice": `{"text":"x","text":"y"}`, "twice in case": `{"text":"x","TEXT":"y"}`, "not written": `{"Own":["x"]}`, "dash": `{"-":["x"]}`,
		"deeper": `{"list":[{"A":1}]}`, "deeper unknown": `{"one":{"b":1}}`, "kind": `{"text":1}`, "number": `{"one":{"a":1.5}}`, "list": `[]`, "two": `{} {}`, "nothing": ``, "null": `null`,
		"large": `{"one":{"a":9223372036854775808}}`, "base64": `{"data":"%%"}`, "null inside": `{"one":null}`, "null text": `{"text":null}`, "not UTF-8": "{\"text\":\"\xff\"}",
	} {
		if err := Decode([]byte(text), &sample{}); err == nil {
			t.Errorf("%s: %s was taken", name, text)
		}
	}
}

// FuzzDecode: what is taken is written as the same value again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"text":"x","list":[{"a":1}],"one":{"a":3},"data":"aGk="}`))
	f.Add([]byte(`{"TEXT":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again sample
		if Decode(b, &s) != nil {
			return
		}
		text, err := Write(s)
		if err == nil {
			err = Decode(text, &again)
		}
		if second, _ := Write(again); err != nil || string(second) != string(text) {
			t.Fatalf("%q became %s: %v", b, text, err)
		}
	})
}
