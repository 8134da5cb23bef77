package fakemodel

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// spoken is one interface as its documentation has it.
type spoken struct {
	path, streamed string // where requests go
	key            string // the header with the key
	first, second  string // a prompt, then the same with a tool's result
	text, name     string // where an answer has its text, and its call
	args           string // and that one's arguments
	usage          string // and what was used
}

const shellSchema = `{"type":"object","properties":{"command":{"type":"string"},"slow":{"type":"boolean"}},"required":["command","slow"]}`

var interfaces = map[string]spoken{
	Messages: {path: "/v1/messages", key: "X-Api-Key: k",
		first:  `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"mend it"}],"tools":[{"name":"Bash","input_schema":` + shellSchema + `}]}`,
		second: `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"mended"}]}],"tools":[{"name":"Bash","input_schema":` + shellSchema + `}]}`,
		text:   "content.0.text", name: "content.1.name", args: "content.1.input", usage: "usage.input_tokens"},
	Chat: {path: "/v1/chat/completions", key: "Authorization: Bearer k",
		first:  `{"model":"m","messages":[{"role":"user","content":"mend it"}],"tools":[{"type":"function","function":{"name":"bash","parameters":` + shellSchema + `}}]}`,
		second: `{"model":"m","messages":[{"role":"tool","tool_call_id":"x","content":"mended"}],"tools":[{"type":"function","function":{"name":"bash","parameters":` + shellSchema + `}}]}`,
		text:   "choices.0.message.content", name: "choices.0.message.tool_calls.0.function.name", args: "choices.0.message.tool_calls.0.function.arguments", usage: "usage.prompt_tokens"},
	Responses: {path: "/v1/responses", key: "Authorization: Bearer k",
		first:  `{"model":"m","input":"mend it","tools":[{"type":"function","name":"shell","parameters":` + shellSchema + `}]}`,
		second: `{"model":"m","input":[{"type":"function_call_output","call_id":"x","output":"mended"}],"tools":[{"type":"function","name":"shell","parameters":` + shellSchema + `}]}`,
		text:   "output.0.content.0.text", name: "output.1.name", args: "output.1.arguments", usage: "usage.input_tokens"},
	Gemini: {path: "/v1beta/models/m:generateContent", streamed: "/v1beta/models/m:streamGenerateContent?alt=sse", key: "X-Goog-Api-Key: k",
		first:  `{"contents":[{"role":"user","parts":[{"text":"mend it"}]}],"tools":[{"functionDeclarations":[{"name":"run_shell_command","parameters":` + shellSchema + `}]}]}`,
		second: `{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"run_shell_command","response":{"output":"mended"}}}]}],"tools":[{"functionDeclarations":[{"name":"run_shell_command","parametersJsonSchema":` + shellSchema + `}]}]}`,
		text:   "candidates.0.content.parts.0.text", name: "candidates.0.content.parts.1.functionCall.name", args: "candidates.0.content.parts.1.functionCall.args", usage: "usageMetadata.promptTokenCount"},
}

// ask sends a body and returns what came back.
func askServer(t *testing.T, s *Server, path, key, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if name, value, ok := strings.Cut(key, ": "); ok {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// at follows a path like "a.0.b" into JSON, and into JSON in strings.
func at(t *testing.T, text, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, step := range strings.Split(path, ".") {
		switch here := v.(type) {
		case map[string]any:
			v = here[step]
		case []any:
			if i := int(step[0] - '0'); i < len(here) {
				v = here[i]
			} else {
				t.Fatalf("nothing at %s in %s", path, text)
			}
		default:
			t.Fatalf("nothing at %s in %s", path, text)
		}
	}
	return v
}

func scripted() *Server {
	return &Server{Key: "k", Script: Script{
		Rules: []Rule{{When: "^too much", Step: Step{Status: 429, Say: "slower"}}},
		Steps: []Step{{Say: "I mend it.", Shell: "sed -i s/3/2/ x"}, {Say: "It is mended, and the text is longer than one piece of a stream."}},
	}}
}

// TestWhole: each interface's answers in one piece.
func TestWhole(t *testing.T) {
	for name, c := range interfaces {
		s := scripted()
		code, out := askServer(t, s, c.path, c.key, c.first)
		if code != http.StatusOK || at(t, out, c.text) != "I mend it." {
			t.Fatalf("%s: %d %s", name, code, out)
		}
		args, _ := json.Marshal(at(t, out, c.args))
		if text, ok := at(t, out, c.args).(string); ok {
			args = []byte(text)
		}
		if string(args) != `{"command":"sed -i s/3/2/ x","slow":false}` {
			t.Errorf("%s: the arguments are %s", name, args)
		}
		if !strings.Contains(c.first, `"`+at(t, out, c.name).(string)+`"`) {
			t.Errorf("%s: the tool %v was not declared", name, at(t, out, c.name))
		}
		if n, ok := at(t, out, c.usage).(float64); !ok || n < 1 {
			t.Errorf("%s: the usage is %v", name, at(t, out, c.usage))
		}
		if _, out := askServer(t, s, c.path, c.key, c.second); !strings.HasPrefix(at(t, out, c.text).(string), "It is mended") {
			t.Errorf("%s: after a result: %s", name, out)
		}
		q := s.Requests()
		if len(q) != 2 || q[0].API != name || q[0].Key != "k" || q[1].Results != 1 || string(q[0].Body) != c.first {
			t.Errorf("%s: recorded %+v", name, q)
		}
	}
}

// TestStreamed: what a stream says, put together, is what is said in one piece.
func TestStreamed(t *testing.T) {
	for name, c := range interfaces {
		for _, body := range []string{c.first, c.second} {
			path := c.streamed
			if path == "" {
				path = c.path
				body = strings.Replace(body, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1)
			}
			code, out := askServer(t, scripted(), path, c.key, body)
			var events []string
			for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					events = append(events, data)
				}
			}
			text, args, used := together(t, name, events)
			want, call := "I mend it.", `{"command":"sed -i s/3/2/ x","slow":false}`
			if strings.Contains(body, "mended") {
				want, call = scripted().Script.Steps[1].Say, ""
			}
			if code != http.StatusOK || text != want || args != call || !used {
				t.Errorf("%s: %d %q %q %t\n%s", name, code, text, args, used, out)
			}
		}
	}
}

// together reads a stream as a client does.
func together(t *testing.T, name string, events []string) (text, args string, used bool) {
	t.Helper()
	for _, e := range events {
		if e == "[DONE]" {
			continue
		}
		var v struct {
			Type  string          `json:"type"`
			Delta json.RawMessage `json:"delta"`
			Usage map[string]any  `json:"usage"`
			Chat  []struct {
				Delta struct {
					Content string `json:"content"`
					Calls   []struct {
						Function struct {
							Arguments string `json:"arguments"`
						} `json:"function"`
					} `json:"tool_calls"`
				} `json:"delta"`
			} `json:"choices"`
			Candidates []struct {
				Content struct {
					Parts []struct {
						Text string `json:"text"`
						Call *struct {
							Args json.RawMessage `json:"args"`
						} `json:"functionCall"`
					} `json:"parts"`
				} `json:"content"`
			} `json:"candidates"`
			Meta     map[string]any `json:"usageMetadata"`
			Response struct {
				Usage map[string]any `json:"usage"`
			} `json:"response"`
		}
		if err := json.Unmarshal([]byte(e), &v); err != nil {
			t.Fatalf("%s: %v in %s", name, err, e)
		}
		used = used || v.Usage != nil || v.Meta != nil || v.Response.Usage != nil
		for _, c := range v.Chat {
			text += c.Delta.Content
			for _, call := range c.Delta.Calls {
				args += call.Function.Arguments
			}
		}
		for _, c := range v.Candidates {
			for _, p := range c.Content.Parts {
				text += p.Text
				if p.Call != nil {
					args += string(p.Call.Args)
				}
			}
		}
		var plain string
		var block struct{ Text, Partial_json string }
		switch {
		case json.Unmarshal(v.Delta, &plain) == nil && v.Type == "response.output_text.delta":
			text += plain
		case v.Type == "response.function_call_arguments.delta":
			args += plain
		case v.Type == "content_block_delta" && json.Unmarshal(v.Delta, &block) == nil:
			text, args = text+block.Text, args+block.Partial_json
		}
	}
	return text, args, used
}

// TestRefused: a wrong key, what is no JSON, an error out of the script, a path
// that is nobody's.
func TestRefused(t *testing.T) {
	for name, c := range interfaces {
		for what, try := range map[string]struct {
			path, key, body string
			code            int
		}{
			"another key": {c.path, c.key[:len(c.key)-1] + "x", c.first, http.StatusUnauthorized},
			"no key":      {c.path, "", c.first, http.StatusUnauthorized},
			"no JSON":     {c.path, c.key, "{", http.StatusBadRequest},
			"by a rule":   {c.path, c.key, strings.Replace(c.first, "mend it", "too much", 1), http.StatusTooManyRequests},
			"elsewhere":   {"/v2/elsewhere", c.key, c.first, http.StatusNotFound},
		} {
			if code, out := askServer(t, scripted(), try.path, try.key, try.body); code != try.code || at(t, out, "error.message") == "" {
				t.Errorf("%s, %s: %d %s", name, what, code, out)
			}
		}
	}
}

// TestShellTool: the tool of each kind of agent is found and called as it wants
// to be called.
func TestShellTool(t *testing.T) {
	for _, c := range []struct{ tools, want string }{
		{`[{"type":"function","name":"shell","parameters":{"properties":{"command":{"type":"array"}},"required":["command"]}}]`, `{"command":["sh","-c","ls"]}`},
		{`[{"type":"function","name":"exec_command","parameters":{"properties":{"cmd":{"type":"string"}}}}]`, `{"cmd":"ls"}`},
		{`[{"type":"function","name":"bash","parameters":{"properties":{"command":{"type":"string"},"timeout":{"anyOf":[{"type":"number"},{"type":"null"}]}},"required":["command","timeout"]}}]`, `{"command":"ls","timeout":null}`},
		{`[{"type":"function","name":"run_commands","parameters":{"properties":{"commands":{"type":"ARRAY"}}}}]`, `{"commands":["ls"]}`},
		{`[{"type":"local_shell"}]`, "local_shell_call"},
		{`[{"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec","description":"await tools.exec_command(...)"}]}]`, `await tools.exec_command({"cmd":"ls"})`},
		{`[{"type":"function","name":"read","parameters":{}}]`, "A short text."},
	} {
		s := &Server{Script: Script{Steps: []Step{{Shell: "ls"}}}}
		_, out := askServer(t, s, "/v1/responses", "", `{"input":"x","tools":`+c.tools+`}`)
		plain := strings.ReplaceAll(out, `\"`, `"`)
		if !strings.Contains(plain, c.want) {
			t.Errorf("%s: %s", c.tools, plain)
		}
	}
}

// TestRead: scripts as files.
func TestRead(t *testing.T) {
	s, err := Read(strings.NewReader(`{"rules":[{"when":"^hi","say":"hello"}],"steps":[{"shell":"ls"}]}`))
	if err != nil || s.Rules[0].Say != "hello" || s.Steps[0].Shell != "ls" {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range []string{`{"step":[]}`, `{"rules":[{"when":"("}]}`, ``} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// FuzzRequest: whatever arrives gets an answer, which is well formed.
func FuzzRequest(f *testing.F) {
	for _, c := range interfaces {
		f.Add(c.path, []byte(c.first))
		f.Add(c.path, []byte(c.second))
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(bytes.NewReader(body)))
		r.URL.Path = path
		w := httptest.NewRecorder()
		(&Server{Script: Script{Steps: []Step{{Shell: "ls"}}}}).ServeHTTP(w, r)
		answer := w.Body.String()
		switch {
		case answer == "":
			t.Error("no answer")
		case strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"):
			for line := range strings.Lines(answer) {
				if data, ok := strings.CutPrefix(line, "data: "); ok && strings.TrimSpace(data) != "[DONE]" && !json.Valid([]byte(data)) {
					t.Errorf("%s %q: %q", path, body, line)
				}
			}
		case w.Code == http.StatusOK && !json.Valid([]byte(answer)):
			t.Errorf("%s %q: %q", path, body, answer)
		}
	})
}
