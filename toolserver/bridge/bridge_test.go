package bridge

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"nacre/gateway/mcp"
)

// answers is a server without a network.
type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// FuzzReply: whatever a server answers over HTTP, it becomes whole lines, one for each
// message, and who asked hears an error under their id where it is nothing.
func FuzzReply(f *testing.F) {
	const json, stream = "application/json", "text/event-stream"
	for _, s := range []string{`{"jsonrpc":"2.0","id":"q","result":{"protocolVersion":"2025-06-18"}}`, "{\n  \"jsonrpc\": \"2.0\",\n  \"id\": \"q\"\n}", "no\nJSON\r", "", "\u2028"} {
		f.Add(json, 200, []byte(s))
	}
	f.Add(stream, 200, []byte("data: {\"id\":1,\ndata: \"result\":2}\n\n: x\r\n\r\nevent: other\ndata: y\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":{}}\r\n\r\n"))
	f.Add(stream+"; charset=utf-8", 200, []byte("data: a\rb\n\n"))
	f.Add(json, 500, []byte("{}"))
	f.Add("", 202, []byte("{}"))
	f.Fuzz(func(t *testing.T, kind string, code int, body []byte) {
		if code < 200 || code > 599 || strings.ContainsFunc(kind, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // no server can send that
		}
		var out bytes.Buffer
		b := &Bridge{URL: "http://127.0.0.1:1/mcp", Out: &out}
		b.client.Transport = answers(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Status: http.StatusText(code), Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		b.pass(t.Context(), []byte(`{"jsonrpc":"2.0","id":"q","method":"ping"}`), "q")
		if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			t.Fatalf("half a line: %q", &out)
		}
		switch {
		case streams(&http.Response{Header: http.Header{"Content-Type": {kind}}}) && code == 200:
			events, count := mcp.NewEvents(bytes.NewReader(body), 1<<20, mcp.MaxReply), 0
			for data, err := events.Next(); err == nil; data, err = events.Next() {
				if len(bytes.TrimSpace(data)) > 0 {
					count++
				}
			}
			if got := strings.Count(out.String(), "\n"); got != count {
				t.Errorf("%d events of %q became %d lines: %q", count, body, got, &out)
			}
		case code == 202:
			if out.Len() > 0 {
				t.Errorf("%q", &out)
			}
		case strings.Count(out.String(), "\n") != 1:
			t.Errorf("%d %q %q became %q", code, kind, body, &out)
		}
		if b.version != "" && !mcp.Known(b.version) {
			t.Errorf("speaks version %q", b.version)
		}
	})
}
