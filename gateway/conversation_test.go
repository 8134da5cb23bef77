package gateway

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// FuzzConversation: whatever a program says on a connection, what arrives outside
// is what is granted.
func FuzzConversation(f *testing.F) {
	const host = "api.test"
	var wrong error
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(r.Host, ":")
		if name != host && strings.ToLower(strings.TrimSuffix(name, ".")) != host || r.Method != "GET" && r.Method != "POST" || !strings.HasPrefix(r.RequestURI, "/open/") ||
			strings.Contains(r.URL.Path, "..") || r.Header.Get("Upgrade") != "" {
			wrong = fmt.Errorf("%s %s %s %v", r.Method, r.Host, r.RequestURI, r.Header)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	at := server.Listener.Addr().(*net.TCPAddr)
	g, _ := newGateway(f, wire.Config{Rules: egress.Rules{Grants: []nacre.NetworkGrant{{Grant: nacre.Grant{ID: "network.1"}, Host: at.IP.String(), As: host, Scheme: "http", Ports: []int{at.Port},
		Methods: []string{"GET", "POST"}, Paths: []string{"/open/**"}}}}})
	go func() { _ = g.web.Serve(g.door) }()
	get := fmt.Sprintf("GET /open/x HTTP/1.1\r\nHost: %s:%d\r\n", host, at.Port)
	post := strings.Replace(get, "GET", "POST", 1)
	for _, text := range []string{get + "\r\n", get + "\r\nDELETE /closed HTTP/1.1\r\n\r\n", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /closed HTTP/1.1\r\n\r\n",
		post + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nHost: x\r\n\r\n", get + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", get + "X-HTTP-Method-Override: DELETE\r\n\r\n",
		strings.Replace(get, "/open/x", "/open/%2e%2e/closed", 1) + "\r\n", post + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		inside, ours := tcpPair(t)
		g.door.waiting <- &visitor{Conn: ours, first: bufio.NewReaderSize(ours, 1024), to: destination{host, at.Port}, gone: func() {}}
		_, _ = io.WriteString(inside, text)
		_ = inside.CloseWrite()
		_ = inside.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(io.Discard, inside)
		inside.Close()
		if wrong != nil {
			t.Fatalf("%q made %v", text, wrong)
		}
	})
}

// tcpPair is a connection, both ends of it.
func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

// TestCrowd: what is over the bound is reset and recorded, and makes room again.
func TestCrowd(t *testing.T) {
	g, s := newGateway(t, named)
	g.crowd.Store(maxOpen - 1)
	d := destination{"api.example.com", 443}
	_, first := tcpPair(t)
	inside, second := tcpPair(t)
	if !g.enter(first, d) || g.enter(second, d) {
		t.Fatal("the bound is not where it should be")
	}
	if _, err := inside.Read(make([]byte, 1)); err == nil || kindOf(err) != "reset" {
		t.Errorf("over the bound: %v", err)
	}
	g.leave(first)
	g.leave(first)
	if g.crowd.Load() != maxOpen-1 {
		t.Errorf("%d are counted", g.crowd.Load())
	}
	if text := fmt.Sprint(s.kinds()); !strings.Contains(text, "connect tcp://api.example.com:443") {
		t.Errorf("the record: %s", text)
	}
}

func kindOf(err error) string {
	if strings.Contains(err.Error(), "reset by peer") {
		return "reset"
	}
	return err.Error()
}

// TestClocks: programs whose clock is a day behind or weeks ahead still trust the
// gateway, for the granted name alone.
func TestClocks(t *testing.T) {
	a, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.certify("api.example.com", "api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(a.root())
	leaf, _ := x509.ParseCertificate(c.Certificate[0])
	issuer, _ := x509.ParseCertificate(c.Certificate[1])
	between.AddCert(issuer)
	for off, want := range map[time.Duration]bool{-23 * time.Hour: true, 0: true, 29 * 24 * time.Hour: true, -48 * time.Hour: false, 40 * 24 * time.Hour: false} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: "api.example.com", Roots: roots, Intermediates: between, CurrentTime: time.Now().Add(off)})
		if (err == nil) != want {
			t.Errorf("%v: %v", off, err)
		}
	}
	other, err := a.certify("evil.test", "api.example.com") // as if it signed for another's name
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ = x509.ParseCertificate(other.Certificate[0])
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "evil.test", Roots: roots, Intermediates: between}); err == nil {
		t.Error("the issuer of one grant signs for another's name")
	}
}

// TestMeanings: what a request means to other readers must be granted too.
func TestMeanings(t *testing.T) {
	i := egress.Intent{Scheme: "https", Host: "a.test", Port: 443, Method: "POST", Path: "/open/x"}
	for header, want := range map[string]string{"X-HTTP-Method-Override: delete": "DELETE https://a.test:443/open/x", "X_Http_Method: PUT": "PUT https://a.test:443/open/x",
		"X-Original-URL: /closed?a": "POST https://a.test:443/closed", "X-Other: y": ""} {
		name, value, _ := strings.Cut(header, ": ")
		r := &http.Request{Header: http.Header{name: {value}}, URL: mustURL("/open/x")}
		got := ""
		for _, m := range meanings(i, r) {
			got += m.String()
		}
		if got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	if list := meanings(i, &http.Request{URL: mustURL("/open/x?_method=delete")}); len(list) != 1 || list[0].Method != "DELETE" {
		t.Errorf("a parameter: %v", list)
	}
}

// TestSetQuery: a parameter goes by any spelling, the others stay as they are.
func TestSetQuery(t *testing.T) {
	for query, want := range map[string]string{"a=1&access_token=x&b=%20": "a=1&b=%20&access_token=%26", "acces%73_token=x": "access_token=%26", "ACCESS_TOKEN=x;c": "c&access_token=%26", "%zz=1&d": "d&access_token=%26", "": "access_token=%26"} {
		if got := setQuery(query, "access_token", "&"); got != want {
			t.Errorf("%q: %q", query, got)
		}
	}
}

// FuzzQuestions: a reply is always shorter than what it may be, and about what was
// asked.
func FuzzQuestions(f *testing.F) {
	f.Add("api.example.com.", uint16(1))
	f.Add("x.example.org.", uint16(28))
	f.Add(strings.Repeat("a.", 120), uint16(255))
	g, _ := newGateway(f, named)
	f.Fuzz(func(t *testing.T, name string, kind uint16) {
		n, err := dnsmessage.NewName(name)
		if err != nil {
			return
		}
		m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.Type(kind), Class: dnsmessage.ClassINET}}}
		b, err := m.Pack()
		if err != nil {
			return
		}
		reply := g.resolve(b)
		var answer dnsmessage.Message
		if reply == nil || answer.Unpack(reply) != nil || len(reply) > 512 {
			t.Fatalf("%q: %d bytes", name, len(reply))
		}
		for _, a := range answer.Answers {
			if text, ok := egress.Name(a.Header.Name.String()); !ok || !g.rules().Known(text) {
				t.Errorf("an answer for %q", a.Header.Name)
			}
		}
	})
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// TestNoDeadlines: nothing ends a stream but its ends: no limit on the time of a
// body, or until an answer begins.
func TestNoDeadlines(t *testing.T) {
	g, _ := newGateway(t, named)
	if g.web.WriteTimeout != 0 || g.web.ReadTimeout != 0 || g.transport(true).ResponseHeaderTimeout != 0 {
		t.Error("slow reasoning, packs and streams of events would be cut short")
	}
	if g.web.ReadHeaderTimeout == 0 || g.web.IdleTimeout == 0 || g.web.MaxHeaderBytes == 0 || g.transport(true).MaxResponseHeaderBytes == 0 {
		t.Error("heads have no bound")
	}
}
