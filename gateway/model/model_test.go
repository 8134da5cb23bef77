package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestProviders(t *testing.T) {
	all, err := Providers()
	if err != nil || len(all) < 4 {
		t.Fatalf("%v %v", all, err)
	}
	for name, p := range all {
		if !slices.Contains([]API{Anthropic, OpenAI, Gemini}, p.API) || p.Host == "" || len(p.Paths) == 0 || len(p.Variables) == 0 || p.Plain != (p.Host == "127.0.0.1") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestOwnProviders: a list of the owner's own is read strictly; a key goes nowhere in the
// clear but to this machine, and to no other place than a known provider's.
func TestOwnProviders(t *testing.T) {
	const paths = ", paths: [/v1/chat/completions]"
	for text, want := range map[string]string{
		"lan: {api: openai, host: 192.168.1.20, port: 1234, plain: true" + paths + "}":                    "",
		"six: {api: openai, host: '::1', plain: true, slot: bearer" + paths + "}":                         "",
		"far: {api: gemini, host: llm.example.com, slot: 'header:X-Key'" + paths + "}":                    "",
		"vllm: {api: openai, host: 127.0.0.1, port: 9000, plain: true" + paths + "}":                      "",
		"anthropic: {api: anthropic, host: evil.example.com, slot: bearer" + paths + "}":                  "cannot be changed",
		"openai: {api: openai, host: 127.0.0.1, plain: true" + paths + "}":                                "cannot be changed",
		"lan: {api: openai, host: 192.168.1.20, plain: true, slot: bearer" + paths + "}":                  "plain",
		"far: {api: openai, host: 203.0.113.5, plain: true" + paths + "}":                                 "plain",
		"far: {api: openai, host: llm.example.com, plain: true" + paths + "}":                             "plain",
		"far: {api: openai, host: localhost, plain: true" + paths + "}":                                   "host",
		"far: {api: openai, host: 'llm.example.com:80'" + paths + "}":                                     "host",
		"far: {api: openai, host: 'https://llm.example.com'" + paths + "}":                                "host",
		"far: {api: openai, host: llm.example.com, port: 70000" + paths + "}":                             "port",
		"far: {api: openai, host: llm.example.com, port: -1" + paths + "}":                                "port",
		"far: {api: openai, host: llm.example.com}":                                                       "paths",
		"far: {api: openai, host: llm.example.com, paths: [v1]}":                                          "paths",
		"far: {api: other, host: llm.example.com" + paths + "}":                                           "expected one of",
		"far: {api: openai, host: llm.example.com, slot: cookie" + paths + "}":                            "slot",
		"far: {api: openai, host: llm.example.com, headers: x" + paths + "}":                              "unknown key",
		"far: {api: openai, host: llm.example.com, variables: {'A=B': x}" + paths + "}":                   "variables",
		"Far: {api: openai, host: llm.example.com" + paths + "}":                                          "small letters",
		"a/b: {api: openai, host: llm.example.com" + paths + "}":                                          "small letters",
		"far: {api: openai, host: a.example.com" + paths + "}\n  far: {api: openai, host: b.example.com}": "twice",
	} {
		_, err := ParseProviders("providers.yaml", []byte("providers:\n  "+text+"\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
	}
}

func TestRead(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"a"}`: "a", `{"model":"a","max_tokens":5,"stream":true,"messages":[{"model":"b","Model":"c"}]}`: "a",
		``: "", `[]`: "", `{}`: "", `{"model":""}`: "", `{"model":5}`: "", `{"model":"a"`: "", `{"model":"a"}x`: "", `{"model":"a"}{"model":"b"}`: "",
		`{"model":"a","model":"b"}`: "", `{"model":"a","Model":"b"}`: "", `{"model":"a","MODEL":"b"}`: "", `{"model":"a","max_tokens":-1}`: "", `{"model":"a","max_tokens":"many"}`: "",
		`{"model":"a","max_tokens":1e99}`: "", `{"model":"a","stream":"yes"}`: "", `{"model":"a","\u006dodel":"b"}`: "", `{"model":"a","stream":false,"\u017ftream":true}`: "",
		"{\"model\":\"a\",\"x\":\"\xff\"}": "", `{"model":"a","MAX_TOKENS":1}`: "", `{"model":"a","maxtokens":1}`: "", `{"model":"a","max_tokens":1,"maxTokens":9}`: "",
		`{"model":"a","Stream":true}`: "", `{"model":"` + strings.Repeat("a", 257) + `"}`: "", `{"Model":"a"}`: "", `{"model":"a","n":1000}`: "", `{"model":"a","n":-1}`: "", `{"model":"a","max_completion_tokens":9}`: "a",
	} {
		r, err := Read(OpenAI, "/v1/chat/completions", "", strings.NewReader(body))
		if (err == nil) != (want != "") || err == nil && r.Model != want {
			t.Errorf("%s: %+v %v", body, r, err)
		}
	}
	if _, err := Read(Anthropic, "/v1/messages", "", io.MultiReader(strings.NewReader(`{"model":"`), io.LimitReader(endless{}, MaxRequest+1))); err == nil {
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
	const stream = "/v1beta/models/g-1:streamGenerateContent"
	for _, c := range []struct {
		api        API
		path, body string
		most       int64
		want       string
	}{
		{Anthropic, "/v1/messages", `{"model":"a","max_tokens":7}`, 7, `{"max_tokens":7,"model":"a"}`},
		{Anthropic, "/v1/messages", `{"model":"a"}`, 100, `{"max_tokens":100,"model":"a"}`},
		{Anthropic, "/v1/messages", `{"model":"a","max_tokens":null,"max_output_tokens":5}`, 100, `{"max_output_tokens":5,"max_tokens":100,"model":"a"}`},
		{Anthropic, "/v1/messages/count_tokens", `{"model":"a"}`, 0, `{"model":"a"}`},
		{OpenAI, "/v1/chat/completions", `{"model":"a","stream":true,"stream_options":{"x":1,"include_usage":false}}`, 100,
			`{"max_completion_tokens":100,"model":"a","stream":true,"stream_options":{"include_usage":true,"x":1}}`},
		{OpenAI, "/v1/chat/completions", `{"model":"a","n":4}`, 100, `{"max_completion_tokens":25,"model":"a","n":4}`},
		{OpenAI, "/v1/chat/completions", `{"model":"a","n":4,"max_tokens":100}`, 400, `{"max_tokens":100,"model":"a","n":4}`},
		{OpenAI, "/v1/chat/completions", `{"model":"a","max_tokens":5,"max_completion_tokens":50}`, 50, `{"max_completion_tokens":50,"max_tokens":5,"model":"a"}`},
		{OpenAI, "/v1/responses", `{"model":"a","stream":true}`, 100, `{"max_output_tokens":100,"model":"a","stream":true}`},
		{OpenAI, "/v1/responses", `{"model":"a","max_tokens":1}`, 100, `{"max_output_tokens":100,"max_tokens":1,"model":"a"}`}, // which there bounds nothing
		{Gemini, stream, `{"contents":[]}`, 100, `{"contents":[],"generationConfig":{"maxOutputTokens":100}}`},
		{Gemini, stream, `{"generationConfig":{"maxOutputTokens":5,"candidateCount":2},"model":"models/g-1"}`, 10, `{"generationConfig":{"maxOutputTokens":5,"candidateCount":2},"model":"models/g-1"}`},
		{Gemini, stream, `{"generation_config":{"candidate_count":2}}`, 100, `{"generation_config":{"candidate_count":2,"maxOutputTokens":50}}`},
		{Gemini, "/v1/models/g-1:countTokens", `{"generateContentRequest":{"model":"models/g-1"}}`, 0, `{"generateContentRequest":{"model":"models/g-1"}}`},
	} {
		r, err := Read(c.api, c.path, "alt=sse", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Bound("max_completion_tokens", 100)
		if err != nil || string(got) != c.want || r.Most != c.most {
			t.Errorf("%s: %s, at most %d, %v", c.body, got, r.Most, err)
		}
	}
}

// TestGeminiRead: the path says the model, and nothing in the body another.
func TestGeminiRead(t *testing.T) {
	for _, c := range []struct{ path, query, body, model string }{
		{"/v1beta/models/gemini-2.5-pro:generateContent", "", `{}`, "gemini-2.5-pro"},
		{"/v1/models/gemini-2.5-pro:streamGenerateContent", "alt=sse", `{"model":"gemini-2.5-pro"}`, "gemini-2.5-pro"},
		{"/v1beta/models/g:streamGenerateContent", "", `{}`, ""}, // an array, which cannot be ended well
		{"/v1beta/models/g:streamGenerateContent", "alt=sse&alt=json", `{}`, ""},
		{"/v1beta/models/g:embedContent", "", `{}`, ""}, {"/v1beta/models/g:batchGenerateContent", "", `{}`, ""},
		{"/v1beta/models/g%3AgenerateContent", "", `{}`, ""}, {"/v1beta/models/g", "", `{}`, ""}, {"/v1beta/models/:generateContent", "", `{}`, ""},
		{"/v1beta/models/a:generateContent:generateContent", "", `{}`, ""}, {"/v1beta/tunedModels/a:generateContent", "", `{}`, ""},
		{"/v1beta/models/g:generateContent", "", `{"model":"models/h"}`, ""}, {"/v1beta/models/g:generateContent", "", `{"Model":"models/g"}`, ""},
		{"/v1beta/models/g:countTokens", "", `{"generateContentRequest":{"model":"models/h"}}`, ""},
		{"/v1beta/models/g:countTokens", "", `{"generate_content_request":{"model":"models/h"}}`, ""},
		{"/v1beta/models/g:generateContent", "", `{"generationConfig":{"maxOutputTokens":1},"generation_config":{"max_output_tokens":9}}`, ""},
		{"/v1beta/models/g:generateContent", "", `{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}`, ""},
		{"/v1beta/models/g:generateContent", "", `{"generationConfig":{"MaxOutputTokens":1}}`, ""},
		{"/v1beta/models/g:generateContent", "", `{"generationConfig":[]}`, ""}, {"/v1beta/models/g:generateContent", "", `[]`, ""},
	} {
		r, err := Read(Gemini, c.path, c.query, strings.NewReader(c.body))
		if (err == nil) != (c.model != "") || err == nil && r.Model != c.model {
			t.Errorf("%+v: %+v %v", c, r, err)
		}
	}
}

func TestCounter(t *testing.T) {
	for name, c := range map[string]struct {
		stream bool
		text   string
		want   Usage
		said   bool
	}{
		"anthropic": {false, `{"id":"x","usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":8,"cache_creation":{"ephemeral_5m_input_tokens":6,"ephemeral_1h_input_tokens":2},"output_tokens":7}}`,
			Usage{In: 10, Cached: 5, Written: 6, WrittenHour: 2, Out: 7}, true},
		"anthropic stream": {true, "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\ndata: {\"delta\":{}}\n\ndata: {\"usage\":{\"output_tokens\":9}}\n\n", Usage{In: 10, Out: 9}, true},
		"anthropic cut":    {true, "data: {\"message\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\ndata: {\"delta\":{}}\n\nda", Usage{In: 10, Out: 1}, false},
		"openai":           {false, `{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":4,"total_tokens":34,"prompt_tokens_details":{"cached_tokens":20}}}`, Usage{In: 10, Cached: 20, Out: 4}, true},
		"openai stream":    {true, "data: {\"choices\":[{\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n", Usage{In: 3, Out: 4}, true},
		"openai so far":    {true, "data: {\"choices\":[{\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n", Usage{In: 3, Out: 4}, false},
		"responses stream": {true, "data: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\r\n\r\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":30,\"input_tokens_details\":{\"cached_tokens\":10},\"output_tokens\":4}}}\r\n\r\n", Usage{In: 20, Cached: 10, Out: 4}, true},
		"gemini":           {false, `{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":30,"cachedContentTokenCount":10,"candidatesTokenCount":4,"thoughtsTokenCount":6,"totalTokenCount":40}}`, Usage{In: 20, Cached: 10, Out: 10}, true},
		"gemini stream":    {true, "data: {\"candidates\":[{}],\"usageMetadata\":{\"promptTokenCount\":3,\"totalTokenCount\":5}}\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":9}}\r\n\r\n", Usage{In: 3, Out: 9}, true},
		"gemini cut":       {true, "data: {\"candidates\":[{}],\"usageMetadata\":{\"promptTokenCount\":3,\"totalTokenCount\":5}}\r\n\r\n", Usage{In: 3, Out: 2}, false},
		"nothing":          {false, `{"error":"x"}`, Usage{}, false},
		"absurd":           {false, `{"usage":{"input_tokens":-5,"output_tokens":9223372036854775807}}`, Usage{Out: Highest / 8}, true},
		"garbage":          {true, "data: {\"usage\":\ndata: usage\n", Usage{}, false},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			var got Usage
			calls := 0
			counter := &Counter{From: io.NopCloser(wrap(strings.NewReader(c.text))), Stream: c.stream, Afford: func(Usage) error { return nil }, Done: func(u Usage, said bool) {
				calls++
				if got = u; said != c.said {
					t.Errorf("%s: said %v", name, said)
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

// TestEnding: a stream that can be paid no longer ends after a whole event, with
// what its program understands.
func TestEnding(t *testing.T) {
	const one = "data: {\"delta\":\"x\"}\n\n"
	for name, c := range map[string]struct {
		api        API
		path, want string
	}{
		"anthropic": {Anthropic, "/v1/messages", "event: error\ndata: {\"error\":{\"message\":\"Nacre, the sandbox that you run in, ends this: spent\",\"type\":\"billing_error\"},\"type\":\"error\"}\n\n"},
		"chat":      {OpenAI, "/v1/chat/completions", "data: {\"error\":{\"code\":\"insufficient_quota\",\"message\":\"Nacre, the sandbox that you run in, ends this: spent\",\"param\":null,\"type\":\"insufficient_quota\"}}\n\ndata: [DONE]\n\n"},
		"responses": {OpenAI, "/v1/responses", "event: error\ndata: {\"code\":\"insufficient_quota\",\"message\":\"Nacre, the sandbox that you run in, ends this: spent\",\"param\":null,\"sequence_number\":2,\"type\":\"error\"}\n\n" +
			"event: response.failed\ndata: {\"response\":{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"Nacre, the sandbox that you run in, ends this: spent\"},\"id\":\"resp_ended\",\"object\":\"response\",\"output\":[],\"status\":\"failed\"},\"sequence_number\":3,\"type\":\"response.failed\"}\n\n"},
		"gemini": {Gemini, "/v1beta/models/g:streamGenerateContent", "data: {\"error\":{\"code\":403,\"message\":\"Nacre, the sandbox that you run in, ends this: spent\",\"status\":\"PERMISSION_DENIED\"}}\n\n"},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader} {
			closed, charged := false, Usage{}
			from := io.MultiReader(strings.NewReader(strings.Repeat(one, 3)+"data: {\"half"), endless{})
			counter := &Counter{From: closer{wrap(from), &closed}, Stream: true, Done: func(u Usage, said bool) { charged = u },
				Afford: func(u Usage) error {
					if u.Out > 1 {
						return errors.New("spent")
					}
					return nil
				},
				Ending: func(why error, events int64) []byte { return Ending(c.api, c.path, why, events) }}
			b, err := io.ReadAll(counter)
			if err != nil || string(b) != one+one+c.want || !closed || charged.Out != 2 {
				t.Errorf("%s: %v, closed %v, charged %+v\n%s", name, err, closed, charged, b)
			}
		}
	}
	counter := &Counter{From: io.NopCloser(endless{}), Stream: true, Done: func(Usage, bool) {}}
	if _, err := io.Copy(io.Discard, counter); err == nil {
		t.Error("an event without an end")
	}
}

type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error {
	*c.closed = true
	return nil
}

// FuzzCounter: whatever a provider replies, it is passed on as it is, what is counted is
// within reason, and the same in whatever pieces it came.
func FuzzCounter(f *testing.F) {
	f.Add([]byte("data: {\"usage\":{\"output_tokens\":9}}\n\n: ping\r\n\r\ndata: x"))
	f.Add([]byte("event: a\ndata: {\"usageMetadata\":{\"promptTokenCount\":-1,\"totalTokenCount\":5}}\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, stream := range []bool{false, true} {
			var counted [2]string
			for i, from := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b))} {
				counter := &Counter{From: io.NopCloser(from), Stream: stream, Afford: func(Usage) error { return nil },
					Done: func(u Usage, said bool) {
						if min(u.In, u.Out, u.Cached, u.Written, u.WrittenHour) < 0 || u.Sum() > Highest {
							t.Errorf("%+v", u)
						}
						counted[i] += fmt.Sprint(u, said)
					}}
				if out, err := io.ReadAll(counter); err != nil || string(out) != string(b) {
					t.Errorf("%q became %q: %v", b, out, err)
				}
				_ = counter.Close()
			}
			if counted[0] != counted[1] || counted[0] == "" {
				t.Errorf("%q is counted %s, in pieces %s", b, counted[0], counted[1])
			}
		}
	})
}

// FuzzGemini: whatever is asked, the answer is bounded by what we read.
func FuzzGemini(f *testing.F) {
	f.Add([]byte(`{"generationConfig":{"maxOutputTokens":5,"candidateCount":2}}`))
	f.Add([]byte(`{"generation_config":{"max_output_tokens":5},"model":"models/g"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(Gemini, "/v1/models/g:generateContent", "", strings.NewReader(string(b)))
		if err != nil {
			return
		}
		out, err := r.Bound("", 10)
		if err != nil {
			return
		}
		again, err := Read(Gemini, "/v1/models/g:generateContent", "", strings.NewReader(string(out)))
		if err != nil || again.Most != r.Most || again.Most == 0 {
			t.Errorf("%q is bounded by %d, and goes out as %q: %v", b, r.Most, out, err)
		}
	})
}

// FuzzRead: whatever is asked, a careless reader of what goes out reads the model that
// was decided upon, and no larger answer than was reserved.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"model":"a","max_tokens":5,"stream":true}`), uint8(0))
	f.Add([]byte(`{"model":"a","Model":"b"}`), uint8(1))
	f.Add([]byte(`{"model":"a","max_completion_tokens":7,"n":3}`), uint8(0))
	f.Add([]byte(`{"model":"a","max_output_tokens":null}`), uint8(2))
	places := []struct {
		api         API
		path, field string
	}{{OpenAI, "/v1/chat/completions", "max_tokens"}, {Anthropic, "/v1/messages", ""}, {OpenAI, "/v1/responses", ""}}
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		to := places[int(at)%len(places)]
		r, err := Read(to.api, to.path, "", bytes.NewReader(b))
		if err != nil {
			return
		}
		out, err := r.Bound(to.field, 10)
		if err != nil {
			return
		}
		var plain struct { // as a careless reader reads it
			Model     string
			Max       int64 `json:"max_tokens"`
			Completed int64 `json:"max_completion_tokens"`
			Output    int64 `json:"max_output_tokens"`
			N         int64
		}
		if err := json.Unmarshal(out, &plain); err != nil || plain.Model != r.Model {
			t.Errorf("%q is for %q, and read as %q: %v", b, r.Model, fmt.Sprint(plain), err)
		}
		bound := map[string]int64{"/v1/chat/completions": max(plain.Max, plain.Completed), "/v1/messages": plain.Max, "/v1/responses": plain.Output}[to.path]
		if bound == 0 || bound*max(1, plain.N) > r.Most {
			t.Errorf("%q is reserved %d, and goes out as %s", b, r.Most, out)
		}
	})
}
