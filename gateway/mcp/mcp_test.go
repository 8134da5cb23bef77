package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadRequest(t *testing.T) {
	for text, want := range map[string]bool{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:                                                     true,
		`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":{"a":[1]}}}`: true,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:                                       true,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`:                                                  false,
		`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`:                                                   false,
		`{"jsonrpc":"2.0","id":1e3,"method":"ping"}`:                                                   false,
		`{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}`:                                  false,
		`{"jsonrpc":"2.0","id":1,"method":""}`:                                                         false,
		`{"jsonrpc":"2.0","id":1,"method":["ping"]}`:                                                   false,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`:                                         false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`:                                               false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["x"]}}`:                       false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[]}}`:          false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":null}}`:        false,
		`{"jsonrpc":2.0,"id":1,"method":"ping"}`:                                                       false,
		`{"jsonrpc":"2.0","id":1,"method":"ping",}`:                                                    false,
		`{"jsonrpc":"2.0","id":1,"method":"ping"}x`:                                                    false,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xffng\"}":                                        false,
		``: false, `null`: false, `[]`: false, `"x"`: false,
	} {
		if _, err := ReadRequest([]byte(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEvents(t *testing.T) {
	read := func(text string, most int64) (all []string, err error) {
		e := NewEvents(strings.NewReader(text), most, MaxReply)
		for {
			b, err := e.Next()
			if err != nil {
				return all, err
			}
			all = append(all, string(b))
		}
	}
	for text, want := range map[string]string{
		"data: a\n\ndata:b\r\n\r\n": "a|b", "data: a\ndata: b\n\n": "a\nb", ": comment\nid: 1\nretry: 5\ndata: a\n\n": "a", "event: message\ndata: a\n\n": "a",
		"event: other\ndata: a\n\ndata: b\n\n": "b", "data: a": "", "data: a\n": "", "\n\n\n": "", "datax: a\n\n": "", "data\n\n": "",
	} {
		all, err := read(text, 1000)
		if got := strings.Join(all, "|"); got != want || !errors.Is(err, io.EOF) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := read(strings.Repeat("data: a\n\n", 100), 100); !errors.Is(err, ErrFlood) {
		t.Errorf("over its bytes: %v", err)
	}
	if _, err := read("data: "+strings.Repeat("x", MaxReply+100)+"\n\n", 1<<40); !errors.Is(err, ErrFlood) {
		t.Errorf("a long line: %v", err)
	}
	if _, err := read(strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 6)+"\n", 1<<40); !errors.Is(err, ErrFlood) {
		t.Errorf("a long event: %v", err)
	}
}

// FuzzTools: whatever a program says, what is sent on means to a careless reader
// what was decided upon, and reads the same again.
func FuzzTools(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"get","arguments":{"a":[1,{"b":null}]},"_meta":{"progressToken":1}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"ping","params":{"name":"get","Name":"put"}}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadRequest(b)
		if err != nil || !r.Allowed() {
			return
		}
		written, err := r.Written()
		if err != nil {
			t.Fatal(err)
		}
		var careless struct {
			Method string
			Params struct{ Name string }
		}
		if err := json.Unmarshal(written, &careless); err != nil || careless.Method != r.Method || r.Method == CallTool && careless.Params.Name != r.Tool {
			t.Fatalf("%s says something else than %q %q: %v", written, r.Method, r.Tool, err)
		}
		again, err := ReadRequest(written)
		if err != nil || again.Method != r.Method || again.Tool != r.Tool || again.ID != r.ID || Digest(again.Arguments()) != Digest(r.Arguments()) {
			t.Fatalf("%s reads as another: %v", written, err)
		}
		if bytes.Contains(written, []byte("\n")) {
			t.Fatalf("%q is several lines", written)
		}
	})
}

// FuzzServer: whatever a server says, a program sees the tools that it may.
func FuzzServer(f *testing.F) {
	f.Add([]byte(`data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get","inputSchema":{}},{"name":"put"}],"Tools":[],"nextCursor":"x"}}` + "\n\n"))
	f.Add([]byte("event: message\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"error\":{\"code\":1,\"message\":\"no\"}}\n\n"))
	f.Add([]byte(`data: {"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{}}` + "\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		events := NewEvents(bytes.NewReader(b), 1<<20, MaxReply)
		for {
			data, err := events.Next()
			if err != nil {
				return
			}
			a, err := ReadAnswer(data)
			if err != nil {
				continue
			}
			if a.Heard() {
				_, err := a.Notice()
				if err != nil {
					t.Fatal(err)
				}
			}
			if !a.Reply() {
				continue
			}
			all, err := a.Definitions()
			if err != nil {
				continue
			}
			var some []Definition
			for _, d := range all {
				if d.Name == "get" {
					some = append(some, d)
				}
			}
			written, err := a.Written(List, some)
			if err != nil {
				continue
			}
			var seen struct {
				Result struct{ Tools []struct{ Name string } }
			}
			if err := json.Unmarshal(written, &seen); err != nil || len(seen.Result.Tools) != len(some) {
				t.Fatalf("%s: %v", written, err)
			}
		}
	})
}
