package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
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

// twice tells, slowly, whether an object within has a key that another one may be
// taken for, as a reader sees it that takes one token after the other.
func twice(d *json.Decoder, folded bool) bool {
	t, err := d.Token()
	delim, ok := t.(json.Delim)
	if err != nil || !ok {
		return false
	}
	var keys []string
	for d.More() {
		if delim == '{' {
			key, _ := d.Token()
			name, _ := key.(string)
			for _, k := range keys {
				if k == name || folded && strings.EqualFold(k, name) {
					return true
				}
			}
			keys = append(keys, name)
		}
		if twice(d, folded) {
			return true
		}
	}
	_, _ = d.Token()
	return false
}

// FuzzDecode: what is taken is one value that everybody reads the same, has no key
// twice, and is written as the same value again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"text":"x","list":[{"a":1}],"one":{"a":3},"data":"aGk="}`))
	f.Add([]byte(`{"TEXT":"x"}`))
	f.Add([]byte(`{"k":1,"\u212a":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, folded := range []bool{false, true} {
			v, err := Parse(b, folded)
			if err != nil {
				continue
			}
			var plain any
			d := json.NewDecoder(bytes.NewReader(b))
			d.UseNumber()
			if err := d.Decode(&plain); err != nil || !reflect.DeepEqual(plain, v) || twice(json.NewDecoder(bytes.NewReader(b)), folded) {
				t.Fatalf("%q is read as %v, by others as %v: %v", b, v, plain, err)
			}
		}
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
