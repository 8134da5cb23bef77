package agents

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nacre/test/programs"
)

// everything is what an editor could do for an agent.
const everything = `{"fs":{"readTextFile":true,"writeTextFile":true},"terminal":true,"_meta":{"terminal-auth":true}}`

// editor is one that speaks ACP with a sandboxed agent.
type editor struct {
	r        *run
	in       io.WriteCloser
	lines    chan string
	errs     *bytes.Buffer
	ended    chan error
	next     int
	updates  []string
	requests []string // what the agent asked of it
}

// edit starts nacre acp as an editor would.
func (r *run) edit(with string) *editor {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	r.t.Cleanup(cancel)
	args := append(append([]string{"acp"}, programs.Tiers()...), "--policy", filepath.Join(r.home, "policy/policy.yaml"), "--with", with, "--files", ".:write")
	cmd := r.nacre(ctx, args...)
	r.cmd = cmd
	e := &editor{r: r, lines: make(chan string, 1000), errs: &bytes.Buffer{}, ended: make(chan error, 1)}
	cmd.Stderr = e.errs
	var err error
	if e.in, err = cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			e.lines <- lines.Text()
		}
		close(e.lines)
		e.ended <- cmd.Wait()
	}()
	return e
}

func (e *editor) say(text string) {
	e.r.t.Helper()
	if _, err := io.WriteString(e.in, text+"\n"); err != nil {
		e.r.t.Fatalf("%v\n%s", err, e.errs)
	}
}

// asks makes a request and returns the answer. What the agent asks meanwhile it
// grants; what it says it keeps.
func (e *editor) asks(method, params string) string {
	e.r.t.Helper()
	e.next++
	e.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, e.next, method, params))
	for line := range e.lines {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct {
				Options []struct{ OptionID, Kind string }
			}
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			e.r.t.Fatalf("not a message: %q", line)
		}
		switch {
		case m.Method == "" && string(m.ID) == fmt.Sprint(e.next):
			return line
		case m.ID == nil:
			e.updates = append(e.updates, line)
		default:
			e.requests = append(e.requests, line)
			for _, o := range m.Params.Options {
				if strings.HasPrefix(o.Kind, "allow") {
					e.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"outcome":{"outcome":"selected","optionId":%q}}}`, m.ID, o.OptionID))
					break
				}
			}
		}
	}
	<-e.ended
	e.r.t.Fatalf("%s was not answered:\n%s", method, e.errs)
	return ""
}

// ask makes a request that must succeed.
func (e *editor) ask(method, params string) string {
	e.r.t.Helper()
	answer := e.asks(method, params)
	if !strings.Contains(answer, `"result"`) {
		e.r.t.Fatalf("%s was answered %s", method, answer)
	}
	return answer
}

// close leaves, and returns what the owner was told.
func (e *editor) close() string {
	e.r.t.Helper()
	e.in.Close()
	for range e.lines { // until it has ended
	}
	if err := <-e.ended; err != nil {
		e.r.t.Logf("it ended with %v", err)
	}
	return e.errs.String()
}

// speakers are agents that speak ACP.
var speakers = []string{"gemini-cli", "qwen-code", "opencode"}

// TestACP: an editor has each of them do its work.
func TestACP(t *testing.T) {
	for _, a := range agents {
		if !strings.Contains(strings.Join(speakers, " "), a.name) {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			r := prepare(t, a)
			r.model.Script.Steps = mend
			e := r.edit(a.name)
			e.ask("initialize", fmt.Sprintf(`{"protocolVersion":1,"clientCapabilities":%s}`, everything))
			var session struct{ Result struct{ SessionID string } }
			opened := e.ask("session/new", fmt.Sprintf(`{"cwd":%q,"mcpServers":[]}`, filepath.Join(r.home, "project")))
			if err := json.Unmarshal([]byte(opened), &session); err != nil {
				t.Fatal(err)
			}
			e.ask("session/prompt", fmt.Sprintf(`{"sessionId":%q,"prompt":[{"type":"text","text":"Make the tests pass"}]}`, session.Result.SessionID))
			said := e.close()
			if got := r.project("sums.txt"); got != "1 + 1 = 2\n" {
				t.Errorf("the project's file reads %q; asked of the editor: %q\n%s", got, e.requests, said)
			}
			r.stayedInside()
			t.Logf("%s: %d updates, asked the editor %d times", a.name, len(e.updates), len(e.requests))
		})
	}
}
