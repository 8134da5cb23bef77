package launch

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nacre"
	"nacre/fault"
)

// TestRequestsAreDenied: each with an answer that says why, none of them sent.
func TestRequestsAreDenied(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test")
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Paths = []string{"/open/**"} })
	at := "https://api.test:" + port(l)
	out := w.client("do", "GET", at+"/open/x", "", "POST", at+"/open/x", "body", "GET", at+"/closed", "", "GET", at+"/open/%2e%2e/closed", "",
		"GET", "http://api.test:"+port(l)+"/open/x", "")
	has(t, out, "GET "+at+"/open/x 200 echo", "POST "+at+`/open/x 403 {"error":{"message":"Nacre,`, "is granted for GET, HEAD, OPTIONS, not POST",
		"is not among /open/**", "two ways", "is granted as https, not http")
	if strings.Count(out, "echo") != 1 {
		t.Error("something went out that should not")
	}
}

// TestOneName: looked up, in the handshake, in every request.
func TestOneName(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test", "other.test")
	w.grant("api.test", l, nil)
	w.grant("other.test", l, nil)
	p := port(l)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"another name in the handshake", []string{"sni", "api.test:" + p, "other.test", "other.test:" + p}, "handshake: remote error"},
		{"no name in the handshake", []string{"sni", "api.test:" + p, "", "api.test:" + p}, "handshake: remote error"},
		{"another host", []string{"sni", "api.test:" + p, "api.test", "other.test:" + p}, "403 Forbidden"},
		{"another port", []string{"sni", "api.test:" + p, "api.test", "api.test:1"}, "403 Forbidden"},
		{"no port", []string{"sni", "api.test:" + p, "api.test", "api.test"}, "403 Forbidden"},
		{"two spellings", []string{"sni", "api.test:" + p, "api.test", "API.Test.:" + p}, "200 OK"},
		{"absolute form", []string{"rawtls", "api.test:" + p, "api.test", "GET https://api.test:" + p + `/ HTTP/1.1\r\nHost: api.test:` + p + `\r\n\r\n`}, "403 Forbidden"},
		{"proxy verb", []string{"rawtls", "api.test:" + p, "api.test", `CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n`}, "403 Forbidden"},
		{"two hosts", []string{"rawtls", "api.test:" + p, "api.test", `GET / HTTP/1.1\r\nHost: api.test:` + p + `\r\nHost: other.test\r\n\r\n`}, "400 Bad Request"},
		{"no host", []string{"rawtls", "api.test:" + p, "api.test", `GET / HTTP/1.0\r\n\r\n`}, "403 Forbidden"},
		{"pipelined", []string{"rawtls", "api.test:" + p, "api.test", `GET /1 HTTP/1.1\r\nHost: api.test:` + p + `\r\n\r\nGET /2 HTTP/1.1\r\nHost: other.test:` + p + `\r\nConnection: close\r\n\r\n`}, "403 Forbidden"},
		{"smuggled", []string{"rawtls", "api.test:" + p, "api.test", `GET / HTTP/1.1\r\nHost: api.test:` + p + `\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: other.test\r\n\r\n`}, "HTTP/1.1 40"},
		{"smuggled by a space", []string{"rawtls", "api.test:" + p, "api.test", `GET / HTTP/1.1\r\nHost: api.test:` + p + `\r\nTransfer-Encoding : chunked\r\n\r\n`}, "400 Bad Request"},
		{"folded header", []string{"rawtls", "api.test:" + p, "api.test", `GET / HTTP/1.1\r\nHost: api.test:` + p + `\r\nX: a\r\n Host: other.test\r\nConnection: close\r\n\r\n`}, "HTTP/1.1 "},
		{"garbage", []string{"raw", "api.test:" + p, `\r\n\r\nSSH-2.0-x\r\n\r\n`}, "400 Bad Request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := *w
			w.t, w.audit = t, &memory{}
			e := *w.engine
			e.Audit, w.engine = w.audit, &e
			out := w.client(c.args[0], c.args[1:]...)
			has(t, out, c.want)
			if strings.Contains(out, "other.test /") {
				t.Errorf("a request for another name went out:\n%s", out)
			}
		})
	}
}

// TestStream: what comes in pieces arrives in pieces, and trailers at the end.
func TestStream(t *testing.T) {
	w := newWorld(t)
	var heard atomic.Int64
	stream := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/heard" {
			heard.Add(1)
			return
		}
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.Header().Set("Trailer", "Grpc-Status")
		for i := range 3 {
			fmt.Fprintf(rw, "data: %d\n\n", i)
			rw.(http.Flusher).Flush()
			for limit := time.Now().Add(5 * time.Second); heard.Load() <= int64(i) && time.Now().Before(limit); {
				time.Sleep(time.Millisecond)
			}
		}
		rw.Header().Set("Grpc-Status", "7")
	})
	l := w.serve(t, stream, "api.test")
	w.grant("api.test", l, nil)
	out := w.client("stream", "https://api.test:"+port(l)+"/", "https://api.test:"+port(l)+"/heard")
	has(t, out, `piece "data: 0\n\n"`, `piece "data: 1\n\n"`, `piece "data: 2\n\n"`, "trailer 7 HTTP/2.0")
}

// TestUpgrade: granted, it is a WebSocket of messages; else it is denied, and nothing
// behind the request is heard.
func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, everything, "chat.test", "api.test")
	w.grant("chat.test", l, func(g *nacre.NetworkGrant) { g.Upgrade, g.Bytes = []string{"websocket"}, 1000 })
	w.grant("api.test", l, nil)
	out := w.client("chat", "https://api.test:"+port(l)+"/chat", "hello", "https://chat.test:"+port(l)+"/chat", "hello", "https://chat.test:"+port(l)+"/chat", strings.Repeat("x", 1001))
	has(t, out, "403 Forbidden", "chat.test:"+port(l)+"/chat: you said hello\n", "ended: 1008 Nacre: the limit of bytes")
	if e, ok := w.audit.find("network.request", "chat.test"); !ok || e.Decision != nacre.Allow {
		t.Error("no record says that it was opened")
	}
	if !strings.Contains(w.audit.String(), "deny GET https://chat.test:"+port(l)+"/chat: the limit of bytes") {
		t.Error("no record says why it ended")
	}
}

// TestLimits: bytes, requests in a minute; nothing is cut short.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "bytes.test", "rate.test")
	w.grant("bytes.test", l, func(g *nacre.NetworkGrant) { g.Methods, g.Bytes = []string{"POST"}, 1000 })
	w.grant("rate.test", l, func(g *nacre.NetworkGrant) { g.Rate = 2 })
	bytes, rate := "https://bytes.test:"+port(l)+"/", "https://rate.test:"+port(l)+"/"
	out := w.client("do", "POST", bytes, strings.Repeat("x", 600), "POST", bytes, strings.Repeat("x", 600), "POST", bytes, strings.Repeat("x", 400),
		"GET", rate, "", "GET", rate, "", "GET", rate, "")
	if strings.Count(out, "200 echo") != 4 || strings.Count(out, " 403 ") != 1 || strings.Count(out, " 429 ") != 1 {
		t.Errorf("four are to pass, and two not:\n%s", out)
	}
	has(t, out, "400 more bytes", "2 requests in a minute")
}

// TestOpaque: TLS that is passed on shows the server's own certificate, goes to
// the one name, and hides none.
func TestOpaque(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "pinned.test")
	w.grant("pinned.test", l, func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil })
	at := "pinned.test:" + port(l)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"its name":     {[]string{"sni", at, "pinned.test", "whatever"}, "200 OK"},
		"another name": {[]string{"sni", at, "api.test", "pinned.test"}, "handshake: remote error: tls: unrecognized name"},
		"no name":      {[]string{"sni", at, "", "pinned.test"}, "handshake: remote error: tls: unrecognized name"},
		"hidden name":  {[]string{"ech", at, "hidden.test", echConfig(t, "pinned.test")}, "handshake: remote error: tls: unrecognized name"},
		"no TLS":       {[]string{"raw", at, `GET / HTTP/1.1\r\n\r\n`}, "end: reset"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			has(t, w.client(c.args[0], c.args[1:]...), c.want)
		})
	}
}

// TestGreaseECH: a client that pretends to encrypt its name (RFC 9849, 6.2), as browsers
// do to everybody, is served where TLS ends at the gateway: there it is one that really
// does, and the handshake comes to its end without it. What it asks for is its outer name.
func TestGreaseECH(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test")
	w.grant("api.test", l, nil)
	at := "api.test:" + port(l)
	out := w.client("ech", at, "hidden.test", echConfig(t, "api.test"))
	has(t, out, "handshake: tls: server rejected ECH")
	if e, denied := w.audit.find("network.connect", at); denied {
		t.Errorf("it is turned away: %+v", e)
	}
}

// echConfig is a list of configurations for an encrypted client hello (RFC
// 9849, 4), whose public name is given.
func echConfig(t *testing.T, public string) string {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := key.PublicKey().Bytes()
	body := append([]byte{1, 0, 0x20, 0, byte(len(p))}, p...)
	body = append(body, 0, 4, 0, 1, 0, 1, 0, byte(len(public)))
	body = append(append(body, public...), 0, 0)
	config := append([]byte{0xfe, 0x0d, 0, byte(len(body))}, body...)
	return hex.EncodeToString(append([]byte{0, byte(len(config))}, config...))
}

// TestTCP: an explicit grant passes any protocol on.
func TestTCP(t *testing.T) {
	w := newWorld(t)
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 5)
				_, _ = io.ReadFull(c, b)
				_, _ = fmt.Fprintf(c, "you said %s", b)
			}()
		}
	}()
	w.grant("db.test", l, func(g *nacre.NetworkGrant) { g.Scheme, g.Methods, g.Paths = "tcp", nil, nil })
	has(t, w.client("raw", "db.test:"+port(l), "hello"), "you said hello", "end: answered")
	if e, ok := w.audit.find("network.connect", "tcp://db.test:"+port(l)); !ok || e.Decision != nacre.Allow {
		t.Error("the audit does not say so")
	}
}

// TestBadServers: what is wrong outside is told plainly, and only that.
func TestBadServers(t *testing.T) {
	w := newWorld(t)
	expired := w.serveUntil(t, echo, time.Now().Add(-time.Hour), "expired.test")
	w.grant("expired.test", expired, nil)
	other := newTestAuthority(t).serve(t, echo, "stranger.test")
	w.grant("stranger.test", other, nil)
	wrong := w.serve(t, echo, "somebody.test")
	w.grant("wrong.test", wrong, nil)
	dead := listen(t)
	dead.Close()
	w.grant("dead.test", dead, nil)
	garbage := listen(t)
	go speak(garbage, "garbage\r\n\r\n")
	w.grant("garbage.test", garbage, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	bomb := listen(t)
	go speak(bomb, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	w.grant("bomb.test", bomb, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	half := listen(t)
	go speak(half, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	w.grant("half.test", half, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	out := w.client("get", "https://expired.test:"+port(expired), "https://stranger.test:"+port(other), "https://wrong.test:"+port(wrong), "https://dead.test:"+port(dead),
		"http://garbage.test:"+port(garbage), "http://bomb.test:"+port(bomb), "http://half.test:"+port(half))
	if strings.Count(out, " 502 ") != 6 {
		t.Errorf("six servers are bad from the start:\n%s", out)
	}
	has(t, out, "expired", "unknown authority", "connection refused", "it does not answer as it should", "http://half.test:"+port(half)+" unexpected EOF")
}

// speak says the same to whoever comes, and hangs up.
func speak(l net.Listener, text string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
		c.Close()
	}
}

// TestUnsupportedGrants: what the gateway cannot enforce is refused.
func TestUnsupportedGrants(t *testing.T) {
	l := &Launcher{}
	for name, p := range map[string]nacre.Plan{
		"tools":        {Loopback: true, Tools: []nacre.NamedGrant{{}}},
		"own loopback": {Loopback: true, Network: []nacre.NetworkGrant{{Host: "127.0.0.1", Scheme: "http"}}},
		"no loopback":  {Network: []nacre.NetworkGrant{{}}},
	} {
		if err := l.Supports(p); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}
