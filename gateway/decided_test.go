package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// outside is a gateway with one TLS server behind it, example.com.
type outside struct {
	*Gateway
	*supervisor
	port int
	mu   sync.Mutex
	said []string // the heads of requests that arrived there, to the byte
}

// behind starts both; the server says reply to whatever it hears, without
// understanding it.
func behind(t testing.TB, reply func(head string) string, secrets []wire.Secret, change func(*nacre.NetworkGrant)) *outside {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // has a certificate for example.com
	t.Cleanup(lender.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lender.TLS.Certificates, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	o := &outside{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.answers(c, reply)
		}
	}()
	grant := nacre.NetworkGrant{Grant: nacre.Grant{ID: "network.1"}, Host: "127.0.0.1", As: "example.com", Scheme: "https", Ports: []int{o.port}, Methods: []string{"GET", "HEAD", "OPTIONS", "POST"}, Paths: []string{"/**"}}
	if change != nil {
		change(&grant)
	}
	o.Gateway, o.supervisor = newGateway(t, wire.Config{Secrets: secrets, Rules: egress.Rules{Grants: []nacre.NetworkGrant{grant}},
		Authorities: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lender.Certificate().Raw})})
	go func() { _ = o.web.Serve(o.door) }()
	return o
}

func (o *outside) answers(c net.Conn, reply func(string) string) {
	defer c.Close()
	from := bufio.NewReader(c)
	for {
		var head strings.Builder
		for {
			text, err := from.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(text)
			if text == "\r\n" {
				break
			}
		}
		o.mu.Lock()
		o.said = append(o.said, head.String())
		o.mu.Unlock()
		if _, err := io.WriteString(c, reply(head.String())); err != nil {
			return
		}
	}
}

// arrived is what the server heard.
func (o *outside) heard() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.said, "")
}

// inside is a program's connection to example.com.
func (o *outside) inside(t testing.TB, protocol string) *tls.Conn {
	t.Helper()
	theirs, ours := tcpPair(t)
	d := destination{"example.com", o.port}
	go func() {
		v := &visitor{Conn: ours, first: bufio.NewReaderSize(ours, 1024), to: d, tls: true, gone: func() {}}
		secure := tls.Server(v, o.inward(d))
		if secure.Handshake() == nil {
			o.door.waiting <- secure
		}
	}()
	c := tls.Client(theirs, &tls.Config{ServerName: "example.com", InsecureSkipVerify: true, NextProtos: []string{protocol}})
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// get makes a request in the ordinary way.
func (o *outside) get(t testing.TB, method, target string, headers ...string) (status int, body string, h http.Header) {
	t.Helper()
	c := o.inside(t, "http/1.1")
	defer c.Close()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: example.com:%d\r\nConnection: close\r\n%s\r\n", method, target, o.port, strings.Join(append(headers, ""), "\r\n"))
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return 0, err.Error(), nil
	}
	b, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(b), r.Header
}

// frames makes a request of HTTP/2 by hand; it returns the status.
func (o *outside) frames(t testing.TB, fields ...string) string {
	t.Helper()
	c := o.inside(t, "h2")
	defer c.Close()
	frame := func(kind, flags byte, stream uint32, body []byte) []byte {
		head := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))<<8|uint32(kind)), flags)
		return append(binary.BigEndian.AppendUint32(head, stream), body...)
	}
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	const settings, headers, endOfBoth = 4, 1, 5
	text := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 0, nil)...)
	_, _ = c.Write(append(text, frame(headers, endOfBoth, 1, block.Bytes())...))
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil {
			return err.Error()
		}
		body := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(c, body); err != nil {
			return err.Error()
		}
		switch head[3] {
		case headers:
			list, err := hpack.NewDecoder(4096, nil).DecodeFull(body)
			if err != nil {
				return err.Error()
			}
			return list[0].Value
		case 3, 7: // RST_STREAM, GOAWAY
			return "refused"
		}
	}
}

func fine(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }

// TestDecidedIsSent: whatever form a target has, what goes out is what was decided
// upon, or nothing does.
func TestDecidedIsSent(t *testing.T) {
	o := behind(t, fine, nil, func(g *nacre.NetworkGrant) { g.Paths = []string{"/"} })
	authority := fmt.Sprintf("example.com:%d", o.port)
	for _, path := range []string{"https:admin/delete", "http:admin", "x:/admin", "x:?admin", "https://" + authority + "/admin", "https://user:own@" + authority + "/", "//admin@" + authority, "*", "admin", "?admin", "", "/#admin", "/?a#b",
		"/?a HTTP/1.1", "javascript:1", "https:%2fadmin"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			status := o.frames(t, ":method", method, ":scheme", "https", ":authority", authority, ":path", path)
			if status != "403" && status != "400" && status != "refused" {
				t.Errorf("HTTP/2, %s %q: %s", method, path, status)
			}
			if status, _, _ := o.get(t, method, path); status != 403 && status != 400 {
				t.Errorf("HTTP/1.1, %s %q: %d", method, path, status)
			}
		}
	}
	if got := o.heard(); got != "" {
		t.Errorf("arrived outside: %q", got)
	}
	if !strings.Contains(fmt.Sprint(o.kinds()), "request") {
		t.Error("no record says so")
	}
	for _, host := range []string{authority, fmt.Sprintf("EXAMPLE.com.:%d", o.port)} {
		if status := o.frames(t, ":method", "GET", ":scheme", "http", ":authority", host, ":path", "/?q=a;b%zz&c"); status != "200" {
			t.Errorf("an honest one: %s", status)
		}
	}
	if got := o.heard(); strings.Count(got, "GET /?q=a;b%zz&c HTTP/1.1\r\nHost: "+authority+"\r\n") != 2 {
		t.Errorf("arrived outside: %q", got)
	}
}

// FuzzTarget: no :path gets anything out but the path that is granted.
func FuzzTarget(f *testing.F) {
	o := behind(f, fine, nil, func(g *nacre.NetworkGrant) { g.Paths = []string{"/open/**"} })
	authority := fmt.Sprintf("example.com:%d", o.port)
	for _, s := range []string{"/open/x", "https:admin", "//open/x", "/open/../x", "/open/%2e%2e/x", "/open/x?a#b", "*", "/open/ x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		o.frames(t, ":method", "GET", ":scheme", "https", ":authority", authority, ":path", path)
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, head := range o.said {
			if !strings.HasPrefix(head, "GET /open/") || climbs(strings.SplitN(head, "?", 2)[0]) || strings.Count(strings.SplitN(head, "\r\n", 2)[0], " ") != 2 {
				t.Errorf("%q sends %q", path, head)
			}
		}
		o.said = nil
	})
}

// climbs tells whether some server may read a part of a path as its parent, with a
// parameter or without one.
func climbs(path string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/\\ ", r) }), func(part string) bool {
		name, _, _ := strings.Cut(part, ";")
		return name == ".."
	})
}

var bound = []wire.Secret{{Name: "token", Value: []byte("canary-of-a/secret+value"), Slot: "bearer", Hosts: []egress.Place{{Host: "example.com"}}}}

// halves is a server that says again what it was told, whole or the part that
// was asked for.
func halves(head string) string {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
	}
	w := httptest.NewRecorder()
	w.Header().Set("Etag", `"1"`)
	http.ServeContent(w, r, "x.txt", time.Unix(1e9, 0), strings.NewReader("you are "+r.Header.Get("Authorization")+"."))
	var b bytes.Buffer
	_ = w.Result().Write(&b)
	return b.String()
}

// TestSecretInParts: a reply is searched whole, or not passed on.
func TestSecretInParts(t *testing.T) {
	o := behind(t, halves, bound, nil)
	var all strings.Builder
	for _, parts := range []string{"bytes=0-24", "bytes=25-99", "bytes=0-20,21-99", "bytes=-12"} {
		for _, more := range []string{"", "If-Range: \"1\"", "If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT"} {
			headers := []string{"Range: " + parts, "Request-Range: " + parts, "X-Ms-Range: " + parts}
			if more != "" {
				headers = append(headers, more)
			}
			status, body, h := o.get(t, "GET", "/", headers...)
			all.WriteString(body)
			if status != 200 && status != 304 || h.Get("Content-Range") != "" {
				t.Errorf("%s: %d %v %s", parts, status, h, body)
			}
		}
	}
	for _, piece := range []string{"canary-of", "secret", "value"} {
		if strings.Contains(all.String(), piece) {
			t.Errorf("%q is inside", piece)
		}
	}
	if got := strings.ToLower(o.heard()); strings.Contains(got, "range:") {
		t.Errorf("arrived outside: %s", got)
	}
}

// TestPartsUnasked: a server that sends a part although nobody asked for one is
// not heard; nor is one that says twice how its reply is encoded.
func TestPartsUnasked(t *testing.T) {
	for name, head := range map[string]string{
		"206":               "206 Partial Content\r\nContent-Range: bytes 0-3/9",
		"226":               "226 IM Used\r\nIM: range",
		"a range":           "200 OK\r\nContent-Range: bytes 0-3/9",
		"several":           "200 OK\r\nContent-Type: Multipart/ByteRanges; boundary=x",
		"second encoding":   "200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip",
		"list of encodings": "200 OK\r\nContent-Encoding: identity, br",
		"empty encoding":    "200 OK\r\nContent-Encoding: \r\nContent-Encoding: x",
	} {
		o := behind(t, func(string) string { return "HTTP/1.1 " + head + "\r\nContent-Length: 4\r\n\r\npart" }, bound, nil)
		if status, body, _ := o.get(t, "GET", "/"); status != 502 || strings.HasPrefix(body, "part") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

// TestCutReply: where a reply breaks off, what may have become a secret does not
// come out.
func TestCutReply(t *testing.T) {
	o := behind(t, func(string) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nfirst canary-of-a/secret+val"
	}, bound, nil)
	c := o.inside(t, "http/1.1")
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: example.com:%d\r\n\r\n", o.port)
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if b, _ := io.ReadAll(c); bytes.Contains(b, []byte("canary")) {
		t.Errorf("%q", b)
	}
}

// TestOnlyOursGoOut: where a secret goes out, nothing of the agent's that looks
// like one does; what is harmless passes.
func TestOnlyOursGoOut(t *testing.T) {
	o := behind(t, fine, bound, nil)
	for _, name := range []string{"Authorization", "X-Figma-Token", "X-Apikey", "X-Shopify-Access-Token", "Ocp-Apim-Subscription-Key", "Cookie", "Cookie2", "X-Session-Id", "Session_id", "X-Amz-Signature", "Signature",
		"X-Secret", "X-User-Passwd", "X-Jwt-Assertion", "DPoP", "X-Oauth-Basic", "X-Client-Credentials", "DD-API-KEY", "X-Vault-Token", "X_Auth_User", "Proxy-Authorization", "Sig"} {
		o.get(t, "GET", "/", name+": own-key")
	}
	o.get(t, "GET", "/", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.own-key")
	c := o.inside(t, "http/1.1")
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: example.com:%d\r\nTrailer: X-Token\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nX-Token: own-key\r\n\r\n", o.port)
	_, _ = io.ReadAll(c)
	for _, query := range []string{"access_token=own-key", "a=1&KEY=own-key", "ke%79=own-key", "a=1;private_token=own-key", "apiKey=own-key", "auth[token]=own-key", "x-amz-credential=own-key", "sig=own-key", "AWSAccessKeyId=own-key",
		"client_secret=own-key", "PHPSESSID=own-key", "password=own-key", "%6Bey%5B%5D=own-key", "jwt=own-key", "%zz=own-key"} {
		if status, body, _ := o.get(t, "GET", "/?"+query); status != 403 || !strings.Contains(body, "the parameter") {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if got := o.heard(); strings.Contains(got, "own-key") || strings.Count(got, "Bearer canary") == 0 {
		t.Errorf("arrived outside: %s", got)
	}
	for _, name := range []string{"Idempotency-Key", "X-Author", "Mcp-Session-Id", "Lock-Token", "Sec-Websocket-Key", "X-Request-Id", "Anthropic-Version", "If-None-Match", "Content-Range", "Authority"} {
		if o.get(t, "GET", "/", name+": harmless"); !strings.Contains(o.heard(), name+": harmless\r\n") {
			t.Errorf("%s was dropped", name)
		}
	}
	for _, query := range []string{"author=a", "pageToken=x&page=2", "continuation-token=x", "keyword=x", "max_tokens=7", "service=git-upload-pack", "author_id=3", "q=token", "own-key", "%zz"} {
		if status, body, _ := o.get(t, "GET", "/?"+query); status != 200 {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

// TestOwnPlace: what is in the secret's own place is replaced, not refused: programs
// that must have a key are given a false one.
func TestOwnPlace(t *testing.T) {
	s := bound[0]
	s.Slot = "query:key"
	o := behind(t, fine, []wire.Secret{s}, nil)
	if status, body, _ := o.get(t, "GET", "/?KEY=own-key&b=2;k%65y=own-key"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if got := o.heard(); strings.Contains(got, "own-key") || !strings.HasPrefix(got, "GET /?b=2&key=canary-of") {
		t.Errorf("arrived outside: %s", got)
	}
}

// TestShortSecret: what cannot be masked does not go out.
func TestShortSecret(t *testing.T) {
	for slot, value := range map[string]string{"bearer": "short", "basic": "somebody:short"} {
		o := behind(t, halves, []wire.Secret{{Name: "token", Value: []byte(value), Slot: slot, Hosts: []egress.Place{{Host: "example.com"}}}}, nil)
		status, body, _ := o.get(t, "GET", "/")
		if got := o.heard(); status != 403 || got != "" || !strings.Contains(body, "too short") {
			t.Errorf("%s: %d %s, %q outside", slot, status, body, got)
		}
	}
}

// TestTooMany: what is only too much now is answered as servers do, with when to try
// again; it does not go out. What a grant will never allow is denied.
func TestTooMany(t *testing.T) {
	now := time.Now()
	m := newMeters().of(nacre.NetworkGrant{Rate: 2, Connections: 1, Bytes: 10})
	for i, c := range []struct {
		length int64
		at     time.Duration
		why    string
		again  time.Duration
	}{
		{1, 0, "", 0}, {1, time.Second, "connections at once", time.Second}, {11, 0, "connections at once", time.Second},
	} {
		if why, again := m.admit(c.length, now.Add(c.at)); (why == "") != (c.why == "") || !strings.Contains(why, c.why) || again != c.again {
			t.Errorf("%d: %q %v", i, why, again)
		}
	}
	m.done()
	if why, again := m.admit(11, now); !strings.Contains(why, "more bytes") || again != 0 {
		t.Errorf("%q %v", why, again)
	}
	if why, _ := m.admit(1, now.Add(time.Second)); why != "" {
		t.Error(why)
	}
	m.done()
	if why, again := m.admit(1, now.Add(20*time.Second)); !strings.Contains(why, "requests in a minute") || again != 40*time.Second {
		t.Errorf("%q %v", why, again)
	}
	if why, _ := m.admit(1, now.Add(time.Minute)); why != "" {
		t.Error(why)
	}

	o := behind(t, fine, nil, func(g *nacre.NetworkGrant) { g.Rate = 1 })
	if status, _, _ := o.get(t, "GET", "/first"); status != 200 {
		t.Fatal(status)
	}
	status, body, h := o.get(t, "GET", "/second")
	again, err := strconv.Atoi(h.Get("Retry-After"))
	if status != 429 || err != nil || again < 1 || again > 60 || !strings.Contains(body, "1 requests in a minute") || strings.Contains(o.heard(), "second") {
		t.Errorf("%d %v %s", status, h, body)
	}
}
