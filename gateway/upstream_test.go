package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/gateway/wire"
)

// proxyAt answers whoever comes by a function, and hangs up after it.
func proxyAt(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return l.Addr().String()
}

// socksServer speaks SOCKS (RFC 1928, 1929) for one connection, and connects to an
// address of its own whatever it is asked for. It tells what it was asked for.
type socksServer struct {
	login string // user:password; "": none is asked for
	reply byte   // what it answers: 0 is that it has connected
	to    string
	asked chan string
}

func (s *socksServer) answer(c net.Conn) {
	b := make([]byte, 512)
	read := func(n int) []byte { _, _ = io.ReadFull(c, b[:n]); return b[:n] }
	methods := bytes.Clone(read(int(read(2)[1])))
	switch {
	case s.login == "" && bytes.IndexByte(methods, 0) >= 0:
		_, _ = c.Write([]byte{5, 0})
	case s.login != "" && bytes.IndexByte(methods, 2) >= 0:
		_, _ = c.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user+":"+password != s.login {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	default:
		_, _ = c.Write([]byte{5, 0xff})
		return
	}
	if kind := read(4)[3]; kind != 3 { // a name: it is looked up here
		return
	}
	s.asked <- string(read(int(read(1)[0])))
	read(2)
	out, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	defer out.Close()
	_, _ = c.Write([]byte{5, s.reply, 0, 1, 0, 0, 0, 0, 0, 0})
	if s.reply != 0 {
		return
	}
	go func() { _, _ = io.Copy(out, c); closeWrite(out) }()
	_, _ = io.Copy(c, out)
}

// TestSOCKS: a host outside is reached by way of a SOCKS proxy of the owner's, which
// looks its name up; with a login where it wants one. Where it does not connect, nothing
// is reached, and the program is told so.
func TestSOCKS(t *testing.T) {
	for name, c := range map[string]struct {
		server socksServer
		login  string
		works  bool
		why    string // in the record
	}{
		"no login":     {works: true},
		"not wanted":   {login: "owner:password", works: true},
		"login":        {server: socksServer{login: "owner:pass:word"}, login: "owner:pass:word", works: true},
		"wrong":        {server: socksServer{login: "owner:password"}, login: "owner:other", why: "username/password authentication failed"},
		"login lacks":  {server: socksServer{login: "owner:password"}, why: "no acceptable authentication methods"},
		"refused":      {server: socksServer{reply: 2}, why: "connection not allowed by ruleset"},
		"failed there": {server: socksServer{reply: 5}, why: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			o := behind(t, fine, nil, func(g *nacre.NetworkGrant) { g.Host, g.As = "example.com", "" })
			s := c.server
			s.to, s.asked = fmt.Sprintf("127.0.0.1:%d", o.port), make(chan string, 8)
			o.dialer.proxy, o.dialer.login = "socks5://"+proxyAt(t, s.answer), c.login
			status, body, _ := o.get(t, "GET", "/")
			if works := status == 200 && body == "ok"; works != c.works {
				t.Errorf("it works: %v; %d %s", works, status, body)
			}
			if c.works {
				if asked := <-s.asked; asked != "example.com" {
					t.Errorf("the proxy was asked for %q", asked)
				}
				return
			}
			if o.heard() != "" || status != 502 || !strings.Contains(body, errProxy.Error()) || strings.Contains(body, "127.0.0.1") {
				t.Errorf("%d %s", status, body)
			}
			_, err := o.dialer.dial(context.Background(), nacre.NetworkGrant{Host: "example.com"}, "example.com", o.port)
			if err == nil || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "password:") {
				t.Errorf("the record would say %v", err)
			}
		})
	}
}

// TestBadProxy: a proxy that says nothing, too much, or what is no answer ends the
// attempt; none of it is taken for what the host says.
func TestBadProxy(t *testing.T) {
	say := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	const ok = "HTTP/1.1 200 OK\r\n"
	endless := func(c net.Conn) {
		for _, err := io.WriteString(c, ok); err == nil; _, err = io.WriteString(c, "X: "+strings.Repeat("x", 1000)+"\r\n") {
		}
	}
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for name, c := range map[string]struct {
		scheme string
		answer func(net.Conn)
	}{
		"SOCKS, silent":         {"socks5", silent},
		"SOCKS, gone":           {"socks5", say("")},
		"SOCKS, garbage":        {"socks5", say("HTTP/1.1 400 Bad Request\r\n\r\n")},
		"SOCKS, another":        {"socks5", say("\x04\x00\x04\x00")},
		"SOCKS, half":           {"socks5", say("\x05\x00\x05")},
		"SOCKS, silent later":   {"socks5", func(c net.Conn) { say("\x05\x00")(c); silent(c) }},
		"SOCKS, another method": {"socks5", say("\x05\x01")},
		"SOCKS, odd address":    {"socks5", say("\x05\x00\x05\x00\x00\x09")},
		"HTTP, silent":          {"http", silent},
		"HTTP, gone":            {"http", say("")},
		"HTTP, garbage":         {"http", say("\x05\x00\x00\r\n\r\n")},
		"HTTP, refuses":         {"http", say("HTTP/1.1 403 Forbidden\r\n\r\n")},
		"HTTP, speaks on":       {"http", say(ok + "\r\nhello")},
		"HTTP, endless head":    {"http", endless},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDialer(wire.Config{Proxy: c.scheme + "://" + proxyAt(t, c.answer), ProxyLogin: []byte("owner:canary-password")})
			d.patience = 200 * time.Millisecond
			out, err := d.dial(context.Background(), nacre.NetworkGrant{Host: "example.com"}, "example.com", 443)
			if err == nil {
				out.Close()
				t.Fatal("it is connected")
			}
			if strings.Contains(err.Error(), "canary") || forProgram(fromBeyond(context.Background(), err)) != errProxy.Error() {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestProxyHalfClosed: what a program's last word is arrives through a proxy too, and
// what comes after it comes back.
func TestProxyHalfClosed(t *testing.T) {
	s := &socksServer{asked: make(chan string, 1), to: proxyAt(t, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		_, _ = io.WriteString(c, "heard "+string(b))
	})}
	d := newDialer(wire.Config{Proxy: "socks5://" + proxyAt(t, s.answer)})
	out, err := d.dial(context.Background(), nacre.NetworkGrant{Host: "example.com"}, "example.com", 443)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	_ = out.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(out, "hello")
	closeWrite(out)
	if b, err := io.ReadAll(out); string(b) != "heard hello" {
		t.Errorf("%q %v", b, err)
	}
}

// FuzzProxy: whatever the owner's proxy answers, a connection is used only where it said
// so, whole, and nothing besides; and it was asked for one address.
func FuzzProxy(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200 OK\r\n\r\n"} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte("\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"), true)
	f.Add([]byte("\x05\x02\x01\x00\x05\x00\x00\x03\x03a.b\x00\x50"), true)
	f.Add([]byte("\x05\x00\x05\x01\x00\x01"), true)
	accepted := regexp.MustCompile(`(?s)^HTTP/\d\.\d +200( [^\n]*)?\n(.*\n)?\r?\n$`)
	f.Fuzz(func(t *testing.T, answer []byte, socks bool) {
		ours, theirs := net.Pipe()
		said := make(chan []byte, 1)
		go func() {
			defer theirs.Close()
			heard := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(theirs); heard <- b }()
			_, _ = theirs.Write(answer)
			theirs.Close()
			said <- <-heard
		}()
		d := &dialer{login: "user:word"}
		ask := d.connect
		if socks {
			ask = d.socks
		}
		err := ask(t.Context(), ours, "a.example:443")
		ours.Close()
		asked := <-said
		switch {
		case err != nil:
		case socks && (len(answer) < 9 || answer[0] != 5 || !bytes.Contains(asked, []byte("a.example"))):
			t.Errorf("%x passes for a connection: %q", answer, asked)
		case !socks && (!accepted.Match(bytes.ReplaceAll(answer, []byte("\r\n"), []byte("\n"))) || !bytes.HasPrefix(asked, []byte("CONNECT a.example:443 HTTP/1.1\r\n"))):
			t.Errorf("%q passes for a connection: %q", answer, asked)
		}
	})
}
