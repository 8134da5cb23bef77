package fakemodel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// dial opens a WebSocket to a server.
func dial(t *testing.T, s *Server) *websocket.Conn {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	c, _, err := websocket.Dial(t.Context(), web.URL+"/v1/responses", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer k"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// exchange sends one request and returns the events up to the last.
func exchange(t *testing.T, ctx context.Context, c *websocket.Conn, body string) (events []string, last map[string]any) {
	t.Helper()
	if err := c.Write(ctx, websocket.MessageText, []byte(body)); err != nil {
		t.Fatal(err)
	}
	for {
		var v map[string]any
		if err := wsjson.Read(ctx, c, &v); err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(v)
		events = append(events, string(b))
		if v["type"] == "response.completed" || v["type"] == "error" {
			return events, v
		}
	}
}

// TestSocket: the Responses interface over a WebSocket says what it says over
// POST, and knows what came before on the same connection.
func TestSocket(t *testing.T) {
	s := scripted()
	c := dial(t, s)
	ctx := t.Context()
	create := func(more string) string {
		return `{"type":"response.create","model":"m","tools":[{"type":"function","name":"shell","parameters":` + shellSchema + `}],` + more + `}`
	}
	events, last := exchange(t, ctx, c, create(`"input":"mend it"`))
	text, args, used := together(t, "socket", events)
	if text != "I mend it." || args != `{"command":"sed -i s/3/2/ x","slow":false}` || !used {
		t.Errorf("%q %q %t", text, args, used)
	}
	id := last["response"].(map[string]any)["id"].(string)
	events, _ = exchange(t, ctx, c, create(`"previous_response_id":"`+id+`","input":[{"type":"function_call_output","call_id":"x","output":"mended"}]`))
	if text, _, _ := together(t, "socket", events); text != s.Script.Steps[1].Say {
		t.Errorf("after a result: %q", text)
	}
	q := s.Requests()
	if n := len(q); n != 3 || q[0].Status != http.StatusSwitchingProtocols || q[2].Results != 1 || !strings.Contains(string(q[2].Body), "mend it") || q[2].Key != "k" {
		t.Errorf("recorded %d: %+v", n, q)
	}
	if _, last := exchange(t, ctx, c, create(`"previous_response_id":"resp_x","input":[]`)); last["type"] != "error" {
		t.Errorf("an answer that never was: %v", last)
	}
	if _, last := exchange(t, ctx, c, create(`"input":"too much"`)); last["status"] != float64(429) {
		t.Errorf("an error out of the script: %v", last)
	}
	events, last = exchange(t, ctx, c, create(`"generate":false,"input":"early"`))
	if text, _, _ := together(t, "socket", events); text != "" || last["type"] != "response.completed" {
		t.Errorf("only to have the input: %q %v", text, last)
	}
}

// TestNoSocket: other interfaces have none, nor has a plain server.
func TestNoSocket(t *testing.T) {
	for path, s := range map[string]*Server{"/v1/responses": {Plain: true}, "/v1/messages": {}} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Upgrade", "websocket")
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusUpgradeRequired || at(t, w.Body.String(), "error.message") == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestParallel: several calls in one answer, and their results count as one round.
func TestParallel(t *testing.T) {
	s := &Server{Script: Script{Steps: []Step{
		{Calls: []Use{{Tool: "read", Args: map[string]any{"path": "a"}}, {Tool: "read", Args: map[string]any{"path": "b"}}}},
		{Say: "Both."}, {Say: "Too far."},
	}}}
	tools := `"tools":[{"name":"bash","input_schema":{}},{"name":"read","input_schema":{}}]`
	_, out := askServer(t, s, "/v1/messages", "", `{"messages":[{"role":"user","content":"x"}],`+tools+`}`)
	if at(t, out, "content.0.input.path") != "a" || at(t, out, "content.1.input.path") != "b" {
		t.Error(out)
	}
	results := `{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"a"},{"type":"tool_result","tool_use_id":"2","content":"b"}]}`
	if _, out := askServer(t, s, "/v1/messages", "", `{"messages":[`+results+`],`+tools+`}`); at(t, out, "content.0.text") != "Both." {
		t.Error(out)
	}
}
