package model

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestProviders(t *testing.T) {
	all, err := Providers()
	if err != nil || len(all) < 4 {
		t.Fatalf("%v %v", all, err)
	}
	for name, p := range all {
		if p.API != Anthropic && p.API != OpenAI || p.Host == "" || len(p.Paths) == 0 || len(p.Variables) == 0 || p.Plain != (p.Host == "127.0.0.1") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRead(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"a"}`: "a", `{"model":"a","max_tokens":5,"stream":true,"messages":[{"model":"b","Model":"c"}]}`: "a",
		``: "", `[]`: "", `{}`: "", `{"model":""}`: "", `{"model":5}`: "", `{"model":"a"`: "", `{"model":"a"}x`: "", `{"model":"a"}{"model":"b"}`: "",
		`{"model":"a","model":"b"}`: "", `{"model":"a","Model":"b"}`: "", `{"model":"a","MODEL":"b"}`: "", `{"model":"a","max_tokens":-1}`: "", `{"model":"a","max_tokens":"many"}`: "",
		`{"model":"a","max_tokens":1e99}`: "", `{"model":"a","stream":"yes"}`: "", `{"model":"a","\u006dodel":"b"}`: "", `{"model":"a","stream":false,"\u017ftream":true}`: "",
	} {
		r, err := Read(strings.NewReader(body))
		if (err == nil) != (want != "") || err == nil && r.Model != want {
			t.Errorf("%s: %+v %v", body, r, err)
		}
	}
	if _, err := Read(io.MultiReader(strings.NewReader(`{"model":"`), io.LimitReader(endless{}, MaxRequest+1))); err == nil {
		t.Error("a request over the limit")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestBound: what goes out bounds the answer and has it say what it used.
func TestBound(t *testing.T) {
	for _, c := range []struct{ path, body, want string }{
		{"/v1/messages", `{"model":"a","max_tokens":7}`, `{"max_tokens":7,"model":"a"}`},
		{"/v1/messages", `{"model":"a"}`, `{"max_tokens":100,"model":"a"}`},
		{"/v1/chat/completions", `{"model":"a","stream":true,"stream_options":{"x":1}}`, `{"max_tokens":100,"model":"a","stream":true,"stream_options":{"include_usage":true,"x":1}}`},
		{"/v1/responses", `{"model":"a","stream":true}`, `{"max_output_tokens":100,"model":"a","stream":true}`},
	} {
		r, err := Read(strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Bound(OpenAI, c.path, 100)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s %v", c.body, got, err)
		}
	}
}

func TestCounter(t *testing.T) {
	for name, c := range map[string]struct {
		stream bool
		text   string
		want   Usage
	}{
		"anthropic":        {false, `{"id":"x","usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":7}}`, Usage{15, 7}},
		"anthropic stream": {true, "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\ndata: {\"delta\":{}}\n\ndata: {\"usage\":{\"output_tokens\":9}}\n\n", Usage{10, 9}},
		"openai":           {false, `{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`, Usage{3, 4}},
		"openai stream":    {true, "data: {\"choices\":[]}\n\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n", Usage{3, 4}},
		"responses stream": {true, "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\r\n\r\n", Usage{3, 4}},
		"nothing":          {false, `{"error":"x"}`, Usage{}},
		"garbage":          {true, "data: {\"usage\":\ndata: usage\n", Usage{}},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			var got Usage
			calls := 0
			counter := &Counter{From: io.NopCloser(wrap(strings.NewReader(c.text))), Stream: c.stream, Done: func(u Usage, told bool) {
				calls++
				if got = u; told != (u != Usage{}) {
					t.Errorf("%s: told %v", name, told)
				}
			}}
			b, err := io.ReadAll(counter)
			_ = counter.Close()
			if err != nil || string(b) != c.text || got != c.want || calls != 1 {
				t.Errorf("%s: %+v, %d calls, %v", name, got, calls, err)
			}
		}
	}
}

// TestBudget: many at once never use more than there is.
func TestBudget(t *testing.T) {
	b := &Budget{Tokens: 1000, Requests: 50, Bounded: true}
	var all sync.WaitGroup
	var mu sync.Mutex
	var used int64
	for range 200 {
		all.Go(func() {
			if b.Reserve(30) == nil {
				mu.Lock()
				used += 30
				mu.Unlock()
				b.Settle(30, 30)
			}
		})
	}
	all.Wait()
	if used > 1000 || used < 900 {
		t.Errorf("%d tokens used", used)
	}
	if b.Reserve(1000) == nil || (&Budget{}).Reserve(0) == nil {
		t.Error("over the budget, or without one")
	}
	few := &Budget{Requests: 2, Bounded: true}
	if first, second := few.Reserve(1), few.Reserve(1); first != nil || second != nil || few.Reserve(1) == nil {
		t.Error("requests are not counted")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"model":"a","max_tokens":5,"stream":true}`))
	f.Add([]byte(`{"model":"a","Model":"b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		out, err := r.Bound(OpenAI, "/v1/responses", 10)
		if err != nil {
			return
		}
		var plain struct{ Model string } // as a careless reader reads it
		if err := json.Unmarshal(out, &plain); err != nil || plain.Model != r.Model {
			t.Errorf("%q is for %q, and read as %q: %v", b, r.Model, fmt.Sprint(plain), err)
		}
	})
}
