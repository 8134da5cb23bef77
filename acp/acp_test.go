package acp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// talk is a bridge with what both sides came to read.
type talk struct {
	*Bridge
	editor, agent bytes.Buffer
	told          []string
}

func newTalk() *talk {
	t := &talk{}
	t.Bridge = &Bridge{Editor: &t.editor, Agent: &t.agent, Folders: []string{"/home/u/project"}, Told: func(s string) { t.told = append(t.told, s) }}
	return t
}

// exchange has both sides say something, and takes what arrived.
func (t *talk) exchange(test *testing.T, editor, agent string) (toEditor, toAgent string) {
	test.Helper()
	t.editor.Reset()
	t.agent.Reset()
	if err := t.FromEditor(strings.NewReader(editor)); err != nil {
		test.Fatal(err)
	}
	if err := t.FromAgent(strings.NewReader(agent)); err != nil {
		test.Fatal(err)
	}
	return t.editor.String(), t.agent.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestEditorIsNotLent: the agent is told that the editor does nothing for it, and
// nothing in its answer is for the editor to run.
func TestEditorIsNotLent(t *testing.T) {
	x := newTalk()
	editor, agent := x.exchange(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1,"clientCapabilities":{"fs":{"readTextFile":true,"writeTextFile":true},"terminal":true,"_meta":{"terminal-auth":true}}}}`+"\n",
		`{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1,"_meta":{"x":1},"authMethods":[{"id":"a","name":"A","description":null,"type":"terminal","args":["--login"],"_meta":{"terminal-auth":{"command":"sh","args":["-c","evil"]}}}]}}`+"\n")
	same(t, agent, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1,"clientCapabilities":{"fs":{"readTextFile":false,"writeTextFile":false},"terminal":false}}}`)
	same(t, editor, `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1,"authMethods":[{"id":"a","name":"A"}]}}`)
}

// TestAgentAsks: of what an agent may ask of an editor there is permission alone.
func TestAgentAsks(t *testing.T) {
	for _, method := range []string{"fs/read_text_file", "fs/write_text_file", "terminal/create", "terminal/output", "elicitation/create", "_zed.dev/run", "session/new", "initialize"} {
		x := newTalk()
		editor, agent := x.exchange(t, "", `{"jsonrpc":"2.0","id":"7","method":"`+method+`","params":{"path":"/home/u/project/link-out"}}`+"\n")
		if editor != "" || !strings.Contains(agent, `"id":"7"`) || !strings.Contains(agent, "-32601") || len(x.told) != 1 {
			t.Errorf("%s: the editor heard %q, the agent %q, the owner %q", method, editor, agent, x.told)
		}
		if editor, agent := x.exchange(t, "", `{"jsonrpc":"2.0","method":"`+method+`"}`+"\n"); editor+agent != "" {
			t.Errorf("%s as a notification: %q %q", method, editor, agent)
		}
	}
	x := newTalk()
	ask := `{"jsonrpc":"2.0","id":7,"method":"session/request_permission","params":{"sessionId":"s","options":[],"toolCall":{"locations":[{"path":"/home/u/project/a"},{"path":"/etc/passwd"},{"path":"/home/u/project/../.ssh/id"},3]}}}` + "\n"
	editor, _ := x.exchange(t, "", ask)
	same(t, editor, `{"jsonrpc":"2.0","id":7,"method":"session/request_permission","params":{"sessionId":"s","options":[],"toolCall":{"locations":[{"path":"/home/u/project/a"}]}}}`)
	if editor, agent := x.exchange(t, "", ask); editor != "" || !strings.Contains(agent, "in use") {
		t.Errorf("an id twice: %q %q", editor, agent)
	}
	answer := `{"jsonrpc":"2.0","id":7,"result":{"outcome":{"outcome":"cancelled"}}}` + "\n"
	if _, agent := x.exchange(t, answer+answer, ""); strings.Count(agent, "\n") != 1 {
		t.Errorf("the answer, and one to nothing: %q", agent)
	}
}

// TestPlacesOutside: an editor is shown no file that is not granted.
func TestPlacesOutside(t *testing.T) {
	for said, want := range map[string]string{
		`{"type":"diff","path":"/home/u/project/a","oldText":"1","newText":"2"}`: `{"type":"diff","path":"/home/u/project/a","oldText":"1","newText":"2"}`,
		`{"type":"diff","path":"/home/u/.bashrc","newText":"2"}`:                 `{"type":"content","content":{"type":"text","text":"` + elsewhere + `"}}`,
		`{"type":"diff","newText":"2"}`:                                          `{"type":"content","content":{"type":"text","text":"` + elsewhere + `"}}`,
		`{"type":"resource_link","uri":"file:///home/u/project/a"}`:              `{"type":"resource_link","uri":"file:///home/u/project/a"}`,
		`{"type":"resource_link","uri":"https://example.com/a"}`:                 `{"type":"resource_link","uri":"https://example.com/a"}`,
		`{"type":"resource_link","uri":"file:///home/u/project/%2e%2e/.ssh/id"}`: `{"type":"resource_link","uri":"about:blank"}`,
		`{"type":"resource_link","uri":"FILE:///etc/passwd"}`:                    `{"type":"resource_link","uri":"about:blank"}`,
		`{"type":"resource_link","uri":"file://host/home/u/project/a"}`:          `{"type":"resource_link","uri":"about:blank"}`,
		`{"type":"resource_link","uri":"/etc/passwd"}`:                           `{"type":"resource_link","uri":"about:blank"}`,
		`{"type":"resource_link","uri":"editor://file/etc/passwd"}`:              `{"type":"resource_link","uri":"about:blank"}`,
		`{"type":"resource","resource":{"uri":3}}`:                               `{"type":"resource","resource":{"uri":"about:blank"}}`,
	} {
		update := func(content string) string {
			return `{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"content":[` + content + `]}}}` + "\n"
		}
		x := newTalk()
		editor, _ := x.exchange(t, "", update(said))
		same(t, editor, update(want))
	}
}

// TestSessions: a session begins in a granted folder, without the editor's servers.
func TestSessions(t *testing.T) {
	for _, c := range []struct {
		cwd  string
		want bool
	}{{"/home/u/project", true}, {"/home/u/project/sub", true}, {"/home/u", false}, {"/home/u/project/..", false}, {"/home/u/project-2", false}, {"project", false}} {
		x := newTalk()
		editor, agent := x.exchange(t, `{"jsonrpc":"2.0","id":1,"method":"session/new","params":{"cwd":"`+c.cwd+`","mcpServers":[{"name":"a","command":"/usr/bin/a","env":[{"name":"TOKEN","value":"secret"}]}]}}`+"\n", "")
		if (agent != "") != c.want || (editor == "") != c.want || strings.Contains(agent, "secret") || c.want && !strings.Contains(agent, `"mcpServers":[]`) {
			t.Errorf("%s: the agent heard %q, the editor %q", c.cwd, agent, editor)
		}
	}
	x := newTalk()
	if _, agent := x.exchange(t, `{"jsonrpc":"2.0","id":1,"method":"session/new","params":{"cwd":"/home/u/project","additionalDirectories":["/home/u"],"mcpServers":[]}}`+"\n", ""); agent != "" {
		t.Errorf("a folder beside: %q", agent)
	}
}

// TestLines: what is no message does not reach the editor, whatever it is.
func TestLines(t *testing.T) {
	x := newTalk()
	editor, agent := x.exchange(t, "", strings.Join([]string{"npm warn something", `[]`, `{}`, `{"jsonrpc":"2.0"}`, `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, `{"jsonrpc":"2.0","id":1.5,"result":{}}`,
		`{"jsonrpc":"2.0","id":1,"ID":2,"method":"session/update"}`, `{"jsonrpc":"2.0","id":9,"result":{}}`, `{"jsonrpc":"2.0","id":1,"method":"session/update"}`,
		`{"jsonrpc":"2.0","method":"session/update","method":"x"}`, "\x1b]0;evil\x07", ""}, "\n"))
	if editor != "" || strings.Count(agent, "\n") != 1 { // the request that is none has an answer
		t.Errorf("%q %q", editor, agent)
	}
	if editor, _ := x.exchange(t, "", `{"jsonrpc":"2.0","method":"session/update","evil":1,"params":{"update":{"_meta":{"a":1},"content":{"text":"hi"}}}}`+"\n"); editor != `{"jsonrpc":"2.0","method":"session/update","params":{"update":{"content":{"text":"hi"}}}}`+"\n" {
		t.Errorf("%q", editor)
	}
	if err := x.FromAgent(strings.NewReader(`{"jsonrpc":"2.0","method":"` + strings.Repeat("x", MaxLine))); err == nil {
		t.Error("a line without an end was read")
	}
	if err := x.FromEditor(strings.NewReader("no message\n")); err == nil {
		t.Error("an editor that speaks something else was read")
	}
}

// places are what an editor would open, wherever it stands: of locations and diffs the
// paths, and URIs.
func places(v any) (all []string) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			all = append(all, places(one)...)
		}
	case map[string]any:
		locations, _ := v["locations"].([]any)
		for _, one := range locations {
			fields, _ := one.(map[string]any)
			all = append(all, fmt.Sprint(fields["path"]))
		}
		if v["type"] == "diff" {
			all = append(all, fmt.Sprint(v["path"]))
		}
		if v["uri"] != nil {
			all = append(all, fmt.Sprint(v["uri"]))
		}
		for _, one := range v {
			all = append(all, places(one)...)
		}
	}
	return all
}

// harmless tells whether an editor may open it.
func harmless(place string) bool {
	if u, err := url.Parse(place); err == nil && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "about") {
		return true
	}
	plain, err := url.PathUnescape(strings.TrimPrefix(place, "file://"))
	return strings.HasPrefix(filepath.Clean(strings.TrimPrefix(place, "file://"))+"/", "/home/u/project/") &&
		(err != nil || !strings.HasPrefix(place, "file:") || strings.HasPrefix(filepath.Clean(plain)+"/", "/home/u/project/"))
}

// FuzzAgent: whatever an agent says, in whatever pieces, an editor hears whole messages
// of two methods and answers to what it asked, without extensions; what they show of
// files is in the granted folders. What the agent is told are whole messages too.
func FuzzAgent(f *testing.F) {
	for _, s := range []string{`{"jsonrpc":"2.0","id":1,"result":{"authMethods":[{"id":"a","_meta":{}}]}}`, `{"jsonrpc":"2.0","method":"session/update","params":{"_meta":1,"update":{"locations":[{"path":"/etc"}]}}}`,
		`{"jsonrpc":"2.0","id":"x","method":"session/request_permission","params":{}}`, `{"jsonrpc":"2.0","id":2,"method":"terminal/create","params":{"command":"sh"}}`, "\n\n{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		x, pieces := newTalk(), newTalk()
		for _, one := range []*talk{x, pieces} {
			_, _ = one.exchange(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`+"\n", "")
			one.editor.Reset()
			one.agent.Reset()
		}
		whole, cut := x.FromAgent(strings.NewReader(said)), pieces.FromAgent(iotest.OneByteReader(strings.NewReader(said)))
		if (whole == nil) != (cut == nil) || x.editor.String() != pieces.editor.String() || x.agent.String() != pieces.agent.String() {
			t.Fatalf("%q is heard as %q (%v), in pieces as %q (%v)", said, &x.editor, whole, &pieces.editor, cut)
		}
		for line := range strings.Lines(x.agent.String()) {
			if m, err := parse([]byte(line)); err != nil || !m.reply() {
				t.Fatalf("the agent is told %q: %v", line, err)
			}
		}
		for line := range strings.Lines(x.editor.String()) {
			m, err := parse([]byte(line))
			if err != nil || !m.reply() && m.method != update && m.method != permission {
				t.Fatalf("%q: %v", line, err)
			}
			if strings.Contains(line, `"_meta":`) {
				t.Fatalf("an extension: %q", line)
			}
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			if m.reply() {
				continue // to what is known to ask for no files
			}
			for _, at := range places(v["params"]) {
				if !harmless(at) {
					t.Fatalf("shown %q: %q", at, line)
				}
			}
		}
	})
}
