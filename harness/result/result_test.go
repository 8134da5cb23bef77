package result

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// lines is a format with all that there is.
var lines = Format{
	Text:  []Find{{At: "message.content.*.text", When: map[string]string{"type": "assistant"}}, {At: "result", When: map[string]string{"type": "result"}}},
	Calls: []Find{{At: "message.content.*.type", Is: "tool_use", When: map[string]string{"type": "assistant"}}},
	In:    []Find{{At: "usage.in"}, {At: "usage.cached"}},
	Out:   []Find{{At: "usage.out"}},
	Error: []Find{{At: "error.message", When: map[string]string{"error.fatal": "true"}}},
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Result
	}{
		"nothing":       {"", Result{}},
		"words":         {`{"type":"result","result":"done"}` + "\n", Result{Text: "done"}},
		"without end":   {`{"type":"result","result":"done"}`, Result{Text: "done"}},
		"the last":      {`{"type":"result","result":"a"}` + "\n{}\n" + `{"type":"result","result":"b"}`, Result{Text: "b"}},
		"pieces":        {`{"type":"result","result":"a"}` + "\n" + `{"type":"result","result":"b"}`, Result{Text: "ab"}},
		"parts, calls":  {`{"type":"assistant","message":{"content":[{"text":"a"},{"type":"tool_use"},{"text":"b"},{"type":"tool_use"},"x",7]}}`, Result{Text: "ab", Calls: 2}},
		"another type":  {`{"type":"user","result":"no","message":{"content":[{"type":"tool_use","text":"no"}]}}`, Result{}},
		"amounts":       {`{"usage":{"in":3,"cached":4,"out":5}}` + "\n" + `{"usage":{"in":10,"out":-5}}`, Result{In: 17, Out: 5}},
		"no amounts":    {`{"usage":{"in":"3","cached":1e99,"out":0.5}}` + "\n" + `{"usage":[1]}`, Result{}},
		"large amounts": {strings.Repeat(`{"usage":{"in":9223372036854775807}}`+"\n", 3), Result{In: maxCount}},
		"wrong":         {`{"error":{"message":"it broke","fatal":true}}` + "\n" + `{"error":{"message":"no","fatal":false}}`, Result{Error: "it broke"}},
		"no text":       {`{"type":"result","result":["done"]}`, Result{}},
		"no JSON":       {"hello\n[1\n" + `{"type":"result","type":"x","result":"twice"}` + "\n\xff\n", Result{Unread: 4}},
		"deep":          {strings.Repeat("[", 100) + strings.Repeat("]", 100), Result{Unread: 1}},
		"too long":      {`{"type":"result","result":"` + strings.Repeat("a", maxLine) + `"}` + "\n" + `{"type":"result","result":"b"}`, Result{Text: "b", Unread: 1}},
		"much text":     {strings.Repeat(`{"type":"result","result":"`+strings.Repeat("é", 1<<18)+`"}`+"\n", 5), Result{Text: strings.Repeat("é", maxText/2)}},
	} {
		got, err := Read(strings.NewReader(c.text), lines)
		if got != c.want || err != nil {
			t.Errorf("%s: %.200v %v, want %.200v", name, got, err, c.want)
		}
	}
	broken := errors.New("broken")
	if r, err := Read(io.MultiReader(strings.NewReader(`{"type":"result","result":"a"}`+"\n"), iotest.ErrReader(broken)), lines); !errors.Is(err, broken) || r.Text != "a" {
		t.Errorf("%+v %v", r, err)
	}
}

func FuzzResult(f *testing.F) {
	for _, s := range []string{`{"type":"assistant","message":{"content":[{"type":"tool_use"},{"text":"a"}]}}`, `{"usage":{"in":9223372036854775807,"out":1}}`, "x\n[[[]]]\n{\"error\":{\"message\":\"a\",\"fatal\":true}}", "\xff\n{"} {
		f.Add([]byte(s), "message.*.text")
	}
	f.Fuzz(func(t *testing.T, text []byte, at string) {
		format := lines
		format.Text = append(format.Text, Find{At: at})
		format.In = append(format.In, Find{At: at})
		r, err := Read(strings.NewReader(string(text)), format)
		if err != nil || len(r.Text) > maxText || len(r.Error) > maxError || !utf8.ValidString(r.Text) || r.Calls < 0 || r.In < 0 || r.In > maxCount || r.Out < 0 {
			t.Fatalf("%+v %v", r, err)
		}
		if again, err := Read(iotest.OneByteReader(strings.NewReader(string(text))), format); err != nil || again != r {
			t.Fatalf("%+v, in pieces %+v %v", r, again, err)
		}
	})
}
