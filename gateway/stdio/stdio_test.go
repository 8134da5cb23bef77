package stdio

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"nacre/gateway/mcp"
)

// puppet is a server at the other end: it does what says returns for each message,
// a line each; with nil it says nothing.
type puppet struct {
	t     testing.TB
	conn  net.Conn
	lines *bufio.Scanner
	asked chan string // methods that were declined
	*Server
}

func start(t testing.TB) *puppet {
	ours, theirs := net.Pipe()
	p := &puppet{t: t, conn: theirs, lines: bufio.NewScanner(theirs), asked: make(chan string, maxFaults)}
	p.Server = Open(ours, func(method string) { p.asked <- method })
	t.Cleanup(func() { p.Close(ErrGone); theirs.Close() })
	return p
}

// message is one that the server gets.
type message struct {
	ID     json.RawMessage
	Method string
	Params map[string]any
	Error  map[string]any
}

func (p *puppet) hears(method string) message {
	p.t.Helper()
	_ = p.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if !p.lines.Scan() {
		p.t.Fatalf("the server waits for %s: %v", method, p.lines.Err())
	}
	var m message
	if err := json.Unmarshal(p.lines.Bytes(), &m); err != nil || m.Method != method {
		p.t.Fatalf("the server waits for %s and hears %s", method, p.lines.Bytes())
	}
	return m
}

func (p *puppet) says(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.conn, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *puppet) greets() {
	p.t.Helper()
	m := p.hears(mcp.Initialize)
	if fmt.Sprint(m.Params["capabilities"]) != "map[]" {
		p.t.Errorf("it is told of abilities: %v", m.Params)
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"p","version":"1"}}}`, m.ID)
	p.hears(mcp.Initialized)
}

// call is what a program asks, under its own id.
func call(id any, tool string, token any) mcp.Request {
	r := mcp.Request{ID: id, Method: mcp.CallTool, Tool: tool, Params: map[string]any{"name": tool}}
	if token != nil {
		r.Params["_meta"] = map[string]any{"progressToken": token}
	}
	return r
}

// begun is a puppet with which a conversation has begun, and a question to it.
func begun(t testing.TB, r mcp.Request) (*puppet, *Question, message) {
	t.Helper()
	p := start(t)
	asked := make(chan *Question)
	go func() {
		q, err := p.Ask(t.Context(), "s", r)
		if err != nil {
			t.Error(err)
		}
		asked <- q
	}()
	p.greets()
	m := p.hears(mcp.CallTool)
	return p, <-asked, m
}

// TestIDs: programs' ids and tokens are their own affair: the server sees the
// gateway's, and answers come back under theirs.
func TestIDs(t *testing.T) {
	p, first, m := begun(t, call("x", "a", "mine"))
	second, err := p.Ask(t.Context(), "other", call("x", "b", nil))
	if err != nil {
		t.Fatal(err)
	}
	n := p.hears(mcp.CallTool)
	if string(m.ID) == string(n.ID) || fmt.Sprint(m.Params["_meta"]) != fmt.Sprintf("map[progressToken:%s]", m.ID) || n.Params["_meta"] != nil {
		t.Errorf("%+v, %+v", m, n)
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":["b"]}}`, n.ID)
	p.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, m.ID)
	p.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, n.ID) // who asked for none
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":["a"]}}`, m.ID)
	for _, c := range []struct {
		q    *Question
		want string
	}{{second, `"id":"x" ["b"]`}, {first, `progress mine`}, {first, `"id":"x" ["a"]`}} {
		said, err := c.q.Next(t.Context())
		text := fmt.Sprintf(`"id":"%v" %q`, said.ID, said.Result["content"])
		if !said.Reply() {
			text = fmt.Sprintf("progress %v", said.Token())
		}
		if err != nil || text != c.want {
			t.Errorf("%s, %v; want %s", text, err, c.want)
		}
	}
}

// TestUnread: what cannot be read fails who waits, and the server goes on; it may do
// that so often, and no more.
func TestUnread(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, c := range map[string]struct{ line, want string }{
		"no JSON":   {"Server is ready!", "not one JSON value"},
		"twice":     {`{"jsonrpc":"2.0","id":2,"result":{},"result":{}}`, "is there twice"},
		"deep":      {`{"jsonrpc":"2.0","id":2,"result":{"content":` + deep + `}}`, "nested deeper"},
		"batch":     {`[{"jsonrpc":"2.0","id":2,"result":{}}]`, "several messages"},
		"long":      {`{"jsonrpc":"2.0","id":2,"result":{"content":"` + strings.Repeat("x", mcp.MaxReply) + `"}}`, "longer than is taken"},
		"not UTF-8": {"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"\xff\":1}}", "not UTF-8"},
		"more keys": {`{"jsonrpc":"2.0","id":2,"result":{},"x":1}`, "belongs to no such message"},
	} {
		t.Run(name, func(t *testing.T) {
			p, q, _ := begun(t, call("x", "a", nil))
			p.says("%s", c.line)
			if _, err := q.Next(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			again, err := p.Ask(t.Context(), "s", call("y", "a", nil))
			if err != nil {
				t.Fatal(err)
			}
			p.says(`{"jsonrpc":"2.0","id":%s,"result":{}}`, p.hears(mcp.CallTool).ID)
			if said, err := again.Next(t.Context()); err != nil || said.ID != "y" {
				t.Errorf("%+v, %v", said, err)
			}
			for range maxFaults {
				_, _ = fmt.Fprintln(p.conn, "Still ready!") // it is cut off at some time
			}
			<-p.gone
			if _, err := p.Ask(t.Context(), "s", call("z", "a", nil)); !errors.Is(err, mcp.ErrFlood) {
				t.Errorf("after %d times: %v", maxFaults, err)
			}
		})
	}
}

// TestAsksItself: what a server asks is refused and told, so often and no more; its
// pings are answered.
func TestAsksItself(t *testing.T) {
	p, q, m := begun(t, call("x", "a", nil))
	p.says(`{"jsonrpc":"2.0","id":"s","method":"ping"}`)
	if m := p.hears(""); m.Error != nil {
		t.Errorf("%+v", m)
	}
	for _, method := range []string{"sampling/createMessage", "elicitation/create", "roots/list"} {
		p.says(`{"jsonrpc":"2.0","id":"s","method":"%s","params":{}}`, method)
		if m := p.hears(""); m.Error == nil {
			t.Errorf("%s: %+v", method, m)
		}
		if told := <-p.asked; told != method {
			t.Errorf("told of %s", told)
		}
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	if _, err := q.Next(t.Context()); err != nil {
		t.Error(err)
	}
	for range maxFaults {
		_, _ = fmt.Fprintln(p.conn, `{"jsonrpc":"2.0","id":"s","method":"roots/list"}`) // it is cut off at some time
	}
	<-p.gone
	if !errors.Is(p.why, mcp.ErrFlood) {
		t.Error(p.why)
	}
}

// TestStrangeReplies: nobody is answered but who asked, and by no id that nobody had.
func TestStrangeReplies(t *testing.T) {
	p, q, m := begun(t, call("x", "a", nil))
	for _, id := range []string{`"x"`, `"2"`, "7", "-1", "1", "null"} {
		p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":"wrong"}}`, id)
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":"right"}}`, m.ID)
	if said, err := q.Next(t.Context()); err != nil || said.Result["content"] != "right" {
		t.Errorf("%+v, %v", said, err)
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":"again"}}`, m.ID) // nobody waits
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults != 5 && p.faults != 4 { // "1" was the beginning's; null is none, and counts as one that cannot be read only with a result
		t.Errorf("%d faults", p.faults)
	}
}

// TestGone: a server that goes is told to all who wait, and what it said before counts.
func TestGone(t *testing.T) {
	p, q, m := begun(t, call("x", "a", nil))
	other, err := p.Ask(t.Context(), "s", call("y", "a", nil))
	if err != nil {
		t.Fatal(err)
	}
	p.hears(mcp.CallTool)
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	p.conn.Close()
	<-p.gone
	if _, err := other.Next(t.Context()); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	for range 100 { // whichever is looked at first
		if len(q.said) == 0 {
			break
		}
		if _, err := q.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Ask(t.Context(), "s", call("z", "a", nil)); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

// TestPatience: who waits no longer takes the request back, and so can a program.
func TestPatience(t *testing.T) {
	p, q, m := begun(t, call("x", "a", nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	q.Leave()
	if c := p.hears(mcp.Cancelled); fmt.Sprint(c.Params["requestId"]) != string(m.ID) {
		t.Errorf("%+v", c)
	}
	q, err := p.Ask(t.Context(), "s", call("x", "a", nil))
	if err != nil {
		t.Fatal(err)
	}
	m = p.hears(mcp.CallTool)
	p.Cancel("another", "x")
	p.Cancel("s", "y")
	p.Cancel("s", nil)
	p.Cancel("s", "x")
	if c := p.hears(mcp.Cancelled); fmt.Sprint(c.Params["requestId"]) != string(m.ID) {
		t.Errorf("%+v", c)
	}
	if _, err := q.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "taken back") {
		t.Error(err)
	}
}

// TestDeaf: a server that does not read keeps nobody longer than they wait.
func TestDeaf(t *testing.T) {
	p := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Begin(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestBegins: a version that is not known here, or a refusal, is no beginning.
func TestBegins(t *testing.T) {
	for name, c := range map[string]struct{ reply, want string }{
		"version": {`"result":{"protocolVersion":"1999-01-01"}`, "not known here"},
		"none":    {`"result":{}`, "not known here"},
		"refusal": {`"error":{"code":1,"message":"no"}`, "refuses to begin"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			done := make(chan error, 1)
			go func() {
				_, err := p.Begin(t.Context())
				done <- err
			}()
			p.says(`{"jsonrpc":"2.0","id":%s,%s}`, p.hears(mcp.Initialize).ID, c.reply)
			if err := <-done; err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}

// TestListen: what a server says unasked is heard by who listens; more than they take
// is lost, and blocks nobody.
func TestListen(t *testing.T) {
	p, q, m := begun(t, call("x", "a", nil))
	l := p.Listen()
	for range 3 * maxNotices {
		p.says(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		p.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated"}`) // which nobody hears
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	if _, err := q.Next(t.Context()); err != nil {
		t.Error(err)
	}
	for range maxNotices {
		if said, err := l.Next(t.Context()); err != nil || said.Method != "notifications/tools/list_changed" {
			t.Errorf("%+v, %v", said, err)
		}
	}
	l.Leave()
	if len(l.said) != 0 || len(p.listeners) != 0 {
		t.Error("it hears on")
	}
}

// FuzzServer: whatever a server says on its stream, who asked gets an answer under
// their own id, or none.
func FuzzServer(f *testing.F) {
	for _, s := range []string{"", `{"jsonrpc":"2.0","id":2,"result":{}}`, "{\n", `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2}}`,
		"\r\n\r\n" + `{"jsonrpc":"2.0","id":"a","method":"ping"}`, `{"jsonrpc":"2.0","id":2,"error":{"code":1}}` + "\n" + `{"jsonrpc":"2.0","id":2,"result":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		s := Open(ours, func(string) {})
		defer s.Close(ErrGone)
		s.hello = mcp.Answer{Result: map[string]any{}}
		s.last = 1
		got := make(chan *Question)
		go func() {
			q, err := s.Ask(context.Background(), "", call("mine", "a", "token"))
			if err != nil {
				q = nil
			}
			got <- q
		}()
		in := bufio.NewReader(theirs)
		if _, err := in.ReadBytes('\n'); err != nil {
			t.Fatal(err)
		}
		q := <-got
		go func() { // whatever is answered to it
			for _, err := in.ReadBytes('\n'); err == nil; _, err = in.ReadBytes('\n') {
			}
		}()
		_, _ = theirs.Write(append(b, '\n'))
		theirs.Close()
		for {
			said, err := q.Next(context.Background())
			if err != nil {
				return
			}
			if said.Reply() && said.ID != "mine" || !said.Reply() && said.Token() != "token" {
				t.Fatalf("%q became %+v", b, said)
			}
		}
	})
}
