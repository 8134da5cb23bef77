package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/gateway/websocket"
	"nacre/gateway/wire"
)

// parlour is a gateway with a server behind it that speaks WebSocket at /chat.
type parlour struct {
	*Gateway
	*supervisor
	port  int
	mu    sync.Mutex
	heads []string       // of requests that arrived
	said  bytes.Buffer   // what arrived in frames
	gone  sync.WaitGroup // of connections
}

const parlourHost = "chat.test"

// opened is what a server answers that changes to WebSocket.
func opened(r *http.Request, more string) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + more + "Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// newParlour starts both. The server answers a request with what answer makes of it;
// where that is 101, it says what is given, then hears messages and echoes them.
func newParlour(t *testing.T, config wire.Config, change func(*nacre.NetworkGrant), says string, answer func(*http.Request) string) *parlour {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if answer == nil {
		answer = func(r *http.Request) string { return opened(r, "") }
	}
	p := &parlour{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.gone.Add(1)
			go p.serve(c, says, answer)
		}
	}()
	grant := nacre.NetworkGrant{Grant: nacre.Grant{ID: "network.1"}, Host: "127.0.0.1", As: parlourHost, Scheme: "http", Ports: []int{p.port}, Methods: []string{"GET"}, Paths: []string{"/chat"}, Upgrade: []string{"websocket"}}
	if change != nil {
		change(&grant)
	}
	config.Rules = egress.Rules{Grants: []nacre.NetworkGrant{grant}}
	p.Gateway, p.supervisor = newGateway(t, config)
	go func() { _ = p.web.Serve(p.door) }()
	return p
}

func (p *parlour) serve(c net.Conn, says string, answer func(*http.Request) string) {
	defer p.gone.Done()
	defer c.Close()
	from := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.heads = append(p.heads, r.Method+" "+r.RequestURI+" "+fmt.Sprint(r.Header))
		p.mu.Unlock()
		text := answer(r)
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		if strings.HasPrefix(text, "HTTP/1.1 101 ") {
			break
		}
	}
	_, _ = io.WriteString(c, says)
	to := websocket.NewWriter(c, false)
	in := websocket.NewReader(from, true, func(op websocket.Opcode, payload []byte) error {
		p.hear(payload)
		if op == websocket.Ping {
			op = websocket.Pong
		}
		return to.Frame(op, true, payload)
	})
	for {
		op, err := in.Next()
		piece := make([]byte, 64<<10)
		for err == nil {
			var n int
			n, err = in.Read(piece)
			p.hear(piece[:n])
			if err == nil || err == io.EOF {
				_ = to.Frame(op, err == io.EOF, piece[:n])
			}
			op = websocket.Continuation
		}
		if in.Closed() || err != io.EOF {
			return
		}
	}
}

func (p *parlour) hear(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(b)
}

// arrived is what the server has heard in frames, once it hears no more.
func (p *parlour) arrived() string {
	p.gone.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

func (p *parlour) requests() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.heads, "\n")
}

// recorded tells what was denied and why.
func (p *parlour) recorded() string {
	p.supervisor.mu.Lock()
	defer p.supervisor.mu.Unlock()
	var b strings.Builder
	for _, e := range p.events {
		if e.Decision != nacre.Allow {
			fmt.Fprintln(&b, e.Rule, e.Detail["to"], e.Reason, e.Detail["finding"])
		}
	}
	return b.String()
}

// dial is a program's connection.
func (p *parlour) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	inside, ours := tcpPair(t)
	p.door.waiting <- &visitor{Conn: ours, first: bufio.NewReaderSize(ours, 1024), to: destination{parlourHost, p.port}, gone: func() {}}
	_ = inside.SetDeadline(time.Now().Add(20 * time.Second))
	return inside
}

// ask is a request for a WebSocket.
func (p *parlour) ask(path string, more ...string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", path, parlourHost, p.port,
		strings.Join(append(more, ""), "\r\n"))
}

// program is a program inside with a WebSocket.
type program struct {
	t    *testing.T
	c    *net.TCPConn
	from *bufio.Reader
	to   *websocket.Writer
	head *http.Response
}

// open opens a WebSocket.
func (p *parlour) open(t *testing.T, more ...string) *program {
	t.Helper()
	c := p.dial(t)
	_, _ = io.WriteString(c, p.ask("/chat", more...))
	from := bufio.NewReader(c)
	r, err := http.ReadResponse(from, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v %v", r, err)
	}
	return &program{t, c, from, websocket.NewWriter(c, true), r}
}

func (p *program) say(op websocket.Opcode, final bool, text string) {
	p.t.Helper()
	if err := p.to.Frame(op, final, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// hears is all that comes until the end: each message and each control frame.
func (p *program) hears() (list []string) {
	r := websocket.NewReader(p.from, false, func(op websocket.Opcode, payload []byte) error {
		list = append(list, fmt.Sprintf("%d %q", op, payload))
		return nil
	})
	for {
		op, err := r.Next()
		if err != nil {
			if !r.Closed() {
				list = append(list, err.Error())
			}
			return list
		}
		b, err := io.ReadAll(r)
		list = append(list, fmt.Sprintf("%d %q", op, b))
		if err != nil {
			list = append(list, err.Error())
		}
	}
}

// TestSocket: what honest sides say arrives as they say it, and no extension is
// offered.
func TestSocket(t *testing.T) {
	p := newParlour(t, wire.Config{}, nil, "", func(r *http.Request) string { return opened(r, "Sec-WebSocket-Protocol: chat\r\n") })
	c := p.open(t, "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat, superchat")
	long := strings.Repeat("0123456789", 20000)
	c.say(websocket.Text, true, "hello")
	c.say(websocket.Text, false, "in ")
	c.say(websocket.Ping, true, "there?")
	c.say(websocket.Continuation, true, "pieces")
	c.say(websocket.Binary, true, "")
	c.say(websocket.Binary, true, long)
	c.say(websocket.Close, true, "\x03\xe8bye")
	got := fmt.Sprint(c.hears())
	if want := fmt.Sprint([]string{`1 "hello"`, `10 "there?"`, `1 "in pieces"`, `2 ""`, fmt.Sprintf("2 %q", long), `8 "\x03\xe8bye"`}); got != want {
		t.Errorf("%.300s", got)
	}
	if c.head.Header.Get("Sec-WebSocket-Protocol") != "chat" || strings.Contains(p.requests(), "deflate") || !strings.Contains(p.requests(), "superchat") {
		t.Errorf("%v, asked %s", c.head.Header, p.requests())
	}
	if got := p.recorded(); got != "" {
		t.Error(got)
	}
}

// TestSocketEarly: what a program says before it is answered is not lost.
func TestSocketEarly(t *testing.T) {
	p := newParlour(t, wire.Config{}, nil, "", nil)
	c := p.dial(t)
	var frames bytes.Buffer
	w := websocket.NewWriter(&frames, true)
	_, _ = w.Frame(websocket.Text, true, []byte("early")), w.Close(1000, "")
	_, _ = io.WriteString(c, p.ask("/chat")+frames.String())
	b, _ := io.ReadAll(c)
	if !bytes.Contains(b, []byte("\x81\x05early")) {
		t.Errorf("%q", b)
	}
}

// TestSocketViolations: what the standard forbids goes no further, in neither
// direction; both sides are told, and the record says so.
func TestSocketViolations(t *testing.T) {
	masked := func(first byte, text string) string {
		return string([]byte{first, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
	}
	for name, said := range map[string]string{
		"unmasked": "\x81\x04evil", "compressed": masked(0xc1, "evil"), "unknown kind": masked(0x83, "evil"), "long ping": "\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("evil", 32),
		"ping in pieces": masked(0x09, "evil"), "going on": masked(0x80, "evil"), "another within": masked(0x01, "") + masked(0x81, "evil"), "long length": "\x82\xfe\x00\x04\x00\x00\x00\x00evil",
		"a request": "GET /evil HTTP/1.1\r\nHost: " + parlourHost + "\r\n\r\n", "no reason": masked(0x88, "e"),
	} {
		p := newParlour(t, wire.Config{}, nil, "", nil)
		c := p.open(t)
		c.say(websocket.Text, true, "good")
		_, _ = io.WriteString(c.c, said)
		if got := fmt.Sprint(c.hears()); !strings.Contains(got, `8 "\x03\xeaNacre: `) {
			t.Errorf("%s: %s", name, got)
		}
		c.c.Close()
		if got := p.arrived(); strings.Contains(got, "evil") || !strings.HasPrefix(got, "good") {
			t.Errorf("%s: %q arrived", name, got)
		}
		if got := p.recorded(); !strings.HasPrefix(got, "websocket GET http://"+parlourHost) {
			t.Errorf("%s: recorded %s", name, got)
		}
	}
	for name, said := range map[string]string{"masked": masked(0x81, "evil"), "compressed": "\xc1\x04evil", "unknown kind": "\x83\x04evil", "going on": "\x80\x04evil", "HTTP": "HTTP/1.1 200 OK\r\n\r\nevil"} {
		p := newParlour(t, wire.Config{}, nil, "\x81\x04good"+said, nil)
		c := p.open(t)
		got := fmt.Sprint(c.hears())
		c.c.Close()
		if !strings.HasPrefix(got, `[1 "good" 8 "\x03\xeaNacre: `) || strings.Contains(got, "evil") {
			t.Errorf("server, %s: %s", name, got)
		}
		if got := p.recorded(); !strings.HasPrefix(got, "websocket ") {
			t.Errorf("server, %s: recorded %s", name, got)
		}
	}
}

// TestSocketSecret: where a secret went out, no message says it, in whatever pieces
// it comes.
func TestSocketSecret(t *testing.T) {
	const secret = "canary-of-a/secret+value"
	secrets := []wire.Secret{{Name: "token", Value: []byte(secret), Slot: "bearer", Hosts: []egress.Place{{Host: parlourHost}}, Plain: true}}
	coded := base64.StdEncoding.EncodeToString([]byte(secret))
	frame := func(first byte, text string) string { return string([]byte{first, byte(len(text))}) + text }
	says := frame(0x81, "it is "+secret+".") + frame(0x01, "in "+secret[:9]) + frame(0x89, "now "+secret) + frame(0x00, secret[9:15]) + frame(0x00, "") + frame(0x80, secret[15:]+" two") +
		frame(0x82, coded) + frame(0x02, "cut "+secret[:20]) + frame(0x88, "\x03\xe8"+secret)
	p := newParlour(t, wire.Config{Secrets: secrets}, nil, says, func(r *http.Request) string { return opened(r, "X-Told: "+r.Header.Get("Authorization")+"\r\n") })
	c := p.open(t, "Authorization: Bearer own-key", "Cookie: own-key", "Sec-WebSocket-Protocol: chat, key.own-key")
	stars := strings.Repeat("*", len(secret))
	got := fmt.Sprint(c.hears())
	for _, want := range []string{`1 "it is ` + stars + `."`, `9 "now ` + stars + `"`, `1 "in ` + stars + ` two"`, `8 "\x03\xe8` + stars + `"`, `2 "cut "`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if all := got + fmt.Sprint(c.head.Header); strings.Contains(all, "canary") || strings.Contains(all, coded[4:20]) {
		t.Error(all)
	}
	if asked := p.requests(); strings.Contains(asked, "own-key") || !strings.Contains(asked, "Bearer "+secret) {
		t.Errorf("asked %s", asked)
	}
}

// TestSocketPlaceholder: a placeholder goes nowhere in frames, whole or in pieces, in
// messages or between them; the record has the finding.
func TestSocketPlaceholder(t *testing.T) {
	const shaped = "sk-ant-nacre-0123456789abcdef"
	config := wire.Config{Secrets: []wire.Secret{{Name: "token", Value: []byte("canary-of-a-secret"), Slot: "bearer", Hosts: []egress.Place{{Host: "other.test"}}, Shaped: []string{shaped}}}}
	for name, say := range map[string]func(*program){
		"a message": func(c *program) { c.say(websocket.Text, true, "my key is "+shaped) },
		"base64":    func(c *program) { c.say(websocket.Binary, true, base64.StdEncoding.EncodeToString([]byte(shaped))) },
		"pieces": func(c *program) {
			c.say(websocket.Text, false, shaped[:10])
			c.say(websocket.Ping, true, "x")
			c.say(websocket.Continuation, true, shaped[10:])
		},
		"two messages": func(c *program) { c.say(websocket.Text, true, shaped[:10]); c.say(websocket.Text, true, shaped[10:]) },
		"letters": func(c *program) {
			for i := range shaped {
				_ = c.to.Frame(websocket.Text, true, []byte(shaped[i:i+1])) // it is over after the last
			}
		},
		"a ping": func(c *program) { c.say(websocket.Ping, true, shaped) },
		"pongs":  func(c *program) { c.say(websocket.Pong, true, shaped[:7]); c.say(websocket.Pong, true, shaped[7:]) },
		"the end": func(c *program) {
			c.say(websocket.Close, true, "\x03\xe8"+shaped)
		},
	} {
		p := newParlour(t, config, nil, "", nil)
		c := p.open(t)
		say(c)
		if got := fmt.Sprint(c.hears()); !strings.Contains(got, `8 "\x03\xf0Nacre: a placeholder`) {
			t.Errorf("%s: %s", name, got)
		}
		c.c.Close()
		if got := p.arrived(); strings.Contains(got, shaped) || strings.Contains(got, "c2stYW50") {
			t.Errorf("%s: %q arrived", name, got)
		}
		if got := p.recorded(); !strings.HasPrefix(got, "placeholder GET http://"+parlourHost) || !strings.HasSuffix(got, " placeholder\n") {
			t.Errorf("%s: recorded %s", name, got)
		}
	}
}

// TestSocketLimit: what goes out in frames counts.
func TestSocketLimit(t *testing.T) {
	p := newParlour(t, wire.Config{}, func(g *nacre.NetworkGrant) { g.Bytes = 1000 }, "", nil)
	c := p.open(t)
	for range 3 {
		_ = c.to.Frame(websocket.Binary, true, make([]byte, 400))
	}
	if got := fmt.Sprint(c.hears()); !strings.Contains(got, `8 "\x03\xf0Nacre: the limit of bytes`) {
		t.Errorf("%s", got)
	}
	c.c.Close()
	if n := len(p.arrived()); n > 1000 {
		t.Errorf("%d bytes arrived", n)
	}
	if got := p.recorded(); !strings.Contains(got, "the limit of bytes") {
		t.Errorf("recorded %s", got)
	}
}

// TestSocketHandshake: what could be read in two ways is asked of nobody, and an
// answer that is not quite one opens nothing.
func TestSocketHandshake(t *testing.T) {
	p := newParlour(t, wire.Config{}, nil, "", nil)
	for name, text := range map[string]string{
		"version":    strings.Replace(p.ask("/chat"), "Version: 13", "Version: 777", 1),
		"two":        p.ask("/chat", "Upgrade: websocket"),
		"no key":     strings.Replace(p.ask("/chat"), "Sec-WebSocket-Key", "X", 1),
		"not said":   strings.Replace(p.ask("/chat"), "Connection: Upgrade", "Connection: keep-alive", 1),
		"a body":     p.ask("/chat", "Content-Length: 4") + "evil",
		"chunks":     p.ask("/chat", "Transfer-Encoding: chunked") + "4\r\nevil\r\n0\r\n\r\n",
		"h2c":        strings.Replace(p.ask("/chat"), "Upgrade: websocket", "Upgrade: h2c", 1),
		"other path": p.ask("/closed"),
	} {
		c := p.dial(t)
		_, _ = io.WriteString(c, text+p.ask("/chat")) // what is behind it is not heard either
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || r.StatusCode != http.StatusForbidden || !r.Close {
			t.Errorf("%s: %+v %v", name, r, err)
		}
		c.Close()
	}
	if got := p.requests(); got != "" {
		t.Errorf("arrived: %s", got)
	}
	for name, head := range map[string]string{
		"another protocol": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
		"another key":      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n",
		"an extension":     "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		"a subprotocol":    "Sec-WebSocket-Protocol: evil\r\n",
	} {
		p := newParlour(t, wire.Config{}, nil, "\x81\x04evil", func(r *http.Request) string {
			if strings.HasPrefix(head, "Sec") {
				return opened(r, head)
			}
			return "HTTP/1.1 101 Switching Protocols\r\n" + head + "\r\n"
		})
		c := p.dial(t)
		_, _ = io.WriteString(c, p.ask("/chat"))
		from := bufio.NewReader(c)
		if r, err := http.ReadResponse(from, nil); err != nil || r.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %+v %v", name, r, err)
		}
		_ = c.CloseWrite()
		if b, _ := io.ReadAll(from); bytes.Contains(b, []byte("evil")) {
			t.Errorf("%s: %q", name, b)
		}
	}
}

// TestSocketSmuggling: a server that refuses to change is not spoken to in frames:
// what follows are requests, each decided upon.
func TestSocketSmuggling(t *testing.T) {
	for _, status := range []string{"426 Upgrade Required", "400 Bad Request", "200 OK"} {
		p := newParlour(t, wire.Config{}, nil, "", func(*http.Request) string { return "HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno" })
		for _, behind := range []string{"\x81\x85\x00\x00\x00\x00hello", "DELETE /closed HTTP/1.1\r\nHost: " + parlourHost + "\r\n\r\n", fmt.Sprintf("GET /closed HTTP/1.1\r\nHost: %s:%d\r\n\r\n", parlourHost, p.port)} {
			c := p.dial(t)
			_, _ = io.WriteString(c, p.ask("/chat")+behind)
			from := bufio.NewReader(c)
			if r, err := http.ReadResponse(from, nil); err != nil || r.Status != status {
				t.Errorf("%s: %+v %v", status, r, err)
			}
			_ = c.CloseWrite()
			if b, _ := io.ReadAll(from); !bytes.HasPrefix(b, []byte("noHTTP/1.1 40")) { // 400, 403
				t.Errorf("%s: %q", status, b)
			}
		}
		if got := p.requests(); strings.Count(got, "GET /chat ") != 3 || strings.Contains(got, "closed") {
			t.Errorf("%s: arrived %s", status, got)
		}
	}
}

// TestSocketFallback: without a grant, a provider's clients are told to do without,
// at which they do; all others that it is denied. What is behind it is not heard.
func TestSocketFallback(t *testing.T) {
	for host, want := range map[string]int{"api.openai.com": 426, parlourHost: 403} {
		p := newParlour(t, wire.Config{}, func(g *nacre.NetworkGrant) { g.As, g.Upgrade = host, nil }, "", nil)
		inside, ours := tcpPair(t)
		p.door.waiting <- &visitor{Conn: ours, first: bufio.NewReaderSize(ours, 1024), to: destination{host, p.port}, gone: func() {}}
		_ = inside.SetDeadline(time.Now().Add(20 * time.Second))
		ask := strings.Replace(p.ask("/chat"), parlourHost, host, 1)
		_, _ = io.WriteString(inside, ask+fmt.Sprintf("GET /chat HTTP/1.1\r\nHost: %s:%d\r\n\r\n", host, p.port))
		from := bufio.NewReader(inside)
		r, err := http.ReadResponse(from, nil)
		if err != nil || r.StatusCode != want || !r.Close {
			t.Errorf("%s: %+v %v", host, r, err)
		}
		if got := p.requests(); got != "" {
			t.Errorf("arrived: %s", got)
		}
	}
}

// TestSocketHTTP2: the gateway does not offer WebSockets over HTTP/2 (RFC 8441), and
// has none.
func TestSocketHTTP2(t *testing.T) {
	o := behind(t, fine, nil, func(g *nacre.NetworkGrant) { g.Methods, g.Upgrade = []string{"GET", "CONNECT"}, []string{"websocket"} })
	authority := fmt.Sprintf("example.com:%d", o.port)
	for _, fields := range [][]string{
		{":method", "CONNECT", ":scheme", "https", ":authority", authority, ":path", "/", ":protocol", "websocket", "sec-websocket-version", "13"},
		{":method", "GET", ":scheme", "https", ":authority", authority, ":path", "/", "upgrade", "websocket"},
		{":method", "GET", ":scheme", "https", ":authority", authority, ":path", "/", ":protocol", "websocket"},
	} {
		if status := o.frames(t, fields...); status == "200" || status == "101" {
			t.Errorf("%v: %s", fields, status)
		}
	}
	if got := o.heard(); got != "" {
		t.Errorf("arrived outside: %q", got)
	}
}
