package launch

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nacre"
)

// TestOnePipeline: whatever way a program takes, without a record nothing is done.
func TestOnePipeline(t *testing.T) {
	w := newWorld(t)
	var arrived atomic.Int64
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	secure, clear, model := w.serve(t, h, "api.test"), plain(t, h), w.serve(t, h, "git.test")
	raw := listen(t)
	go func() {
		for {
			c, err := raw.Accept()
			if err != nil {
				return
			}
			arrived.Add(1)
			c.Close()
		}
	}()
	w.grant("api.test", secure, nil)
	w.grant("clear.test", clear, func(g *nacre.NetworkGrant) { g.Scheme, g.Upgrade = "http", []string{"websocket"} })
	w.grant("git.test", model, func(g *nacre.NetworkGrant) { g.Methods, g.Push = []string{"FETCH", "PUSH"}, []string{"refs/heads/*"} })
	w.grant("db.test", raw, func(g *nacre.NetworkGrant) { g.Scheme, g.Methods, g.Paths = "tcp", nil, nil })
	w.grant("pinned.test", raw, func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil })
	w.models(clear, map[string]string{"models": "*", "tokens": "100000"})
	w.tools(clear, "http", map[string]string{"tools": "get_issue"})
	w.audit.fail = errors.New("the disk is full")
	at := func(name string, l net.Listener) string { return name + ".test:" + port(l) }
	out := w.run("sh", "-c", strings.Join([]string{
		"curl -sS -m 5 https://" + at("api", secure), "curl -sS -m 5 --http1.1 https://" + at("api", secure), "curl -sS -m 5 http://" + at("clear", clear),
		"curl -sS -m 5 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://" + at("clear", clear), "curl -sSk -m 5 https://" + at("pinned", raw), "curl -sS -m 5 telnet://" + at("db", raw) + " </dev/null",
		`curl -sS -m 5 -d '{"model":"x","max_tokens":9}' "$ANTHROPIC_BASE_URL/v1/messages"`, `curl -sS -m 5 "$ANTHROPIC_BASE_URL/v1/models"`,
		`curl -sS -m 5 -H 'Content-Type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' "$NACRE_TOOLS_HUB"`, `curl -sS -m 5 "$NACRE_TOOLS_HUB"`,
		"git ls-remote https://" + at("git", model) + "/a.git", "curl -sS -m 5 -d 0000 https://" + at("git", model) + "/a.git/git-receive-pack", "true"}, "; "))
	if n := arrived.Load(); n > 0 {
		t.Errorf("%d connections or requests went out", n)
	}
	if n := strings.Count(out, "the audit cannot record it"); n < 7 { // of those that read what they are told
		t.Errorf("%d are told why:\n%s", n, out)
	}
	if strings.Contains(out, "disk is full") {
		t.Error("the program is told of the owner's machine")
	}
}

// TestSentAsDecided: what is recorded and what arrives is one string, byte by byte;
// what a path may not hold is escaped for both.
func TestSentAsDecided(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	arrived := map[string]bool{}
	l := plain(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		arrived[r.RequestURI] = true
	}))
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	escaped := map[string]string{"/a|b": "/a%7Cb", `/a"b`: "/a%22b", "/a^b": "/a%5Eb"}
	paths := []string{"/a/%2e%2e/b", "/a//b", "/a;p=1/b;q", "/a%2Fb", "/a%2fb", "/a/./b/../c", "/%41", "/a%20b+c", "/a'b(c)!*", "/a/", "/~u", "//x", "/a%3Fb", "/a%23b", "/[a]", "/%C3%BC"}
	var say []string
	for p := range escaped {
		paths = append(paths, p)
	}
	for _, p := range paths {
		say = append(say, "GET "+p+`?q=%7e&r HTTP/1.1\r\nHost: api.test:`+port(l)+`\r\n\r\n`)
	}
	w.client("raw", "api.test:"+port(l), strings.Join(say, ""))
	for _, p := range paths {
		p = cmp.Or(escaped[p], p)
		if !arrived[p+"?q=%7e&r"] {
			t.Errorf("%s did not arrive as it is", p)
		}
		if _, ok := w.audit.find("network.request", ":"+port(l)+p); !ok {
			t.Errorf("%s is not recorded as it is", p)
		}
	}
}

// TestSecretNotInErrors: when a host that gets a secret fails, neither what the
// program reads nor the record says it.
func TestSecretNotInErrors(t *testing.T) {
	for _, slot := range []string{"bearer", "basic", "query:key"} {
		w := newWorld(t)
		dead := listen(t)
		dead.Close()
		garbage := listen(t)
		go speak(garbage, "garbage\r\n\r\n")
		expired := w.serveUntil(t, echo, time.Now().Add(-time.Hour), "expired.test")
		w.grant("dead.test", dead, nil)
		w.grant("garbage.test", garbage, nil)
		w.grant("expired.test", expired, nil)
		w.secret("token", canary, slot, "dead.test", "garbage.test", "expired.test")
		out := w.run("curl", "-sSi", "https://dead.test:"+port(dead)+"/", "https://garbage.test:"+port(garbage)+"/", "https://expired.test:"+port(expired)+"/")
		if text := out + w.audit.String() + fmt.Sprint(w.audit.events); strings.Contains(text, "canary") || strings.Contains(text, "Secret%2FValue") {
			t.Errorf("%s: the secret is told", slot)
		}
		has(t, out, "502")
	}
}

// TestRevokedEverywhere: what outlives a request ends with its grant: kept
// connections, streams, changed protocols, TLS passed on, TCP.
func TestRevokedEverywhere(t *testing.T) {
	w := newWorld(t)
	var open, ended sync.WaitGroup
	stream := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(rw, "begun")
		rw.(http.Flusher).Flush()
		open.Done()
		<-r.Context().Done()
		ended.Done()
	})
	held := func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				b := make([]byte, 1<<10)
				_, _ = c.Read(b)
				_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"))
				open.Done()
				for _, err = c.Read(b); err == nil; _, err = c.Read(b) {
				}
				c.Close()
				ended.Done()
			}()
		}
	}
	secure, pinned := w.serve(t, stream, "api.test"), w.serve(t, stream, "pinned.test")
	chat, db := listen(t), listen(t)
	go held(chat)
	go held(db)
	w.grant("api.test", secure, nil)
	w.grant("pinned.test", pinned, func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil })
	w.grant("chat.test", chat, func(g *nacre.NetworkGrant) { g.Scheme, g.Upgrade = "http", []string{"websocket"} })
	w.grant("db.test", db, func(g *nacre.NetworkGrant) { g.Scheme, g.Methods, g.Paths = "tcp", nil, nil })
	open.Add(5)
	ended.Add(5)
	box, out := w.start("sh", "-c", strings.Join([]string{
		"curl -sSN https://api.test:" + port(secure) + "/h2 &", "curl -sSN --http1.1 https://api.test:" + port(secure) + "/h1 &", "curl -sSNk https://pinned.test:" + port(pinned) + "/ &",
		"curl -sSN --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://chat.test:" + port(chat) + "/ &",
		"(echo hello; sleep 30) | curl -sSN telnet://db.test:" + port(db) + " &", "wait"}, "\n"))
	defer func() { _ = box.Stop(0) }()
	within(t, &open, "not everything is open", out)
	if err := w.opened.Change(nil, nil); err != nil {
		t.Fatal(err)
	}
	within(t, &ended, "something goes on without a grant", out)
}

// TestRevokedModels: a stream of a model's ends with the grant for it, and the next
// request is refused.
func TestRevokedModels(t *testing.T) {
	var open, ended sync.WaitGroup
	open.Add(1)
	ended.Add(1)
	w := newWorld(t)
	w.models(plain(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(rw, "data: {\"text\":\"begun\"}\n\n")
		rw.(http.Flusher).Flush()
		open.Done()
		<-r.Context().Done()
		ended.Done()
	})), map[string]string{"models": "*", "tokens": "100000"})
	ask := `curl -sSN -d '{"model":"x","max_tokens":9,"stream":true}' "$ANTHROPIC_BASE_URL/v1/messages"`
	box, out := w.start("sh", "-c", ask+`; echo ended; `+ask+`; echo again $?`)
	within(t, &open, "the stream is not open", out)
	if err := w.opened.Change(nil, nil); err != nil {
		t.Fatal(err)
	}
	within(t, &ended, "the stream goes on without its grant", out)
	if _, err := box.Wait(); err != nil {
		t.Fatal(err)
	}
	has(t, out.String(), "ended", "again ")
	if strings.Contains(out.String(), "again 0") {
		t.Errorf("it is served again:\n%s", out)
	}
}

// TestAddedLive: what is granted while a sandbox runs is reached at once, under its own
// certificate; what was open stays so; what is granted no more ends.
func TestAddedLive(t *testing.T) {
	w := newWorld(t)
	begun, over := map[string]chan bool{}, map[string]chan bool{}
	serve := func(name string) net.Listener {
		begun[name], over[name] = make(chan bool), make(chan bool)
		return w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(rw, "begun")
			rw.(http.Flusher).Flush()
			close(begun[name])
			<-r.Context().Done()
			close(over[name])
		}), name)
	}
	first, later := serve("api.test"), serve("later.test")
	w.grant("api.test", first, nil)
	at := "https://later.test:" + port(later) + "/"
	box, out := w.start("sh", "-c", "curl -sSN https://api.test:"+port(first)+"/ & until curl -sSN "+at+" | grep begun; do sleep 0.05; done; wait")
	defer func() { _ = box.Stop(0) }()
	soon := func(c chan bool, otherwise string) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s\n%s\n%s", otherwise, out, w.audit)
		}
	}
	soon(begun["api.test"], "the stream is not open")
	w.grant("later.test", later, nil)
	change := func(ids []string, more []nacre.NetworkGrant) {
		t.Helper()
		if err := w.opened.Change(ids, more); err != nil {
			t.Fatal(err)
		}
	}
	change([]string{"network.1"}, w.plan.Network[1:])
	soon(begun["later.test"], "what was granted later is not reached")
	change([]string{"network.1"}, nil)
	soon(over["later.test"], "what was granted later goes on without its grant")
	select {
	case <-over["api.test"]:
		t.Error("what was open ended when something was added beside it")
	default:
	}
	change(nil, nil)
	soon(over["api.test"], "the stream goes on without its grant")
}

// within waits for a group, not for ever.
func within(t *testing.T, group *sync.WaitGroup, otherwise string, out fmt.Stringer) {
	t.Helper()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s:\n%s", otherwise, out)
	}
}
