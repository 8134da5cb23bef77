package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"nacre/egress"
)

// said is a connection on which a program says what it says.
type said struct {
	net.Conn
	from io.Reader
}

func (s said) Read(p []byte) (int, error)       { return s.from.Read(p) }
func (s said) SetReadDeadline(time.Time) error  { return nil }
func (s said) SetDeadline(time.Time) error      { return nil }
func (s said) SetWriteDeadline(time.Time) error { return nil }
func (s said) Close() error                     { return nil }

// greetings is the first message of a TLS client.
func greetings(t testing.TB, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	b := make([]byte, maxHello)
	n, err := io.ReadAtLeast(server, b, 5)
	if err != nil {
		t.Fatal(err)
	}
	for want := 5 + int(b[3])<<8 + int(b[4]); n < want; {
		more, err := server.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += more
	}
	return b[:n]
}

// TestHear: the name is heard however its message is cut, and the message stays
// whole.
func TestHear(t *testing.T) {
	b := greetings(t, "API.example.com")
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "bytes": oneByOne{bytes.NewReader(b)}} {
		h, err := hear(said{from: r})
		if err != nil || h.name != "api.example.com" || h.ech || !bytes.Equal(h.bytes, b) {
			t.Errorf("%s: %+v %v", name, h.name, err)
		}
	}
	long := append([]byte{22, 3, 1, 0x40, 0x00}, bytes.Repeat([]byte{1}, 2*maxHello)...)
	for name, b := range map[string][]byte{"nothing": nil, "half": b[:len(b)/2], "HTTP": []byte("GET / HTTP/1.1\r\n\r\n"), "endless": long} {
		if h, err := hear(said{from: bytes.NewReader(b)}); err == nil || len(h.bytes) > maxHello {
			t.Errorf("%s: %q %v", name, h.name, err)
		}
	}
}

type oneByOne struct{ io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(1, len(p))]) }

func FuzzHear(f *testing.F) {
	f.Add(greetings(f, "api.example.com"))
	f.Add([]byte{22, 3, 1, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := hear(said{from: bytes.NewReader(b)})
		if err == nil && (h.name == "" || !bytes.HasPrefix(b, h.bytes)) {
			t.Errorf("%q", h.name)
		}
	})
}

// FuzzIntent: whatever a request says, what is allowed goes where its connection
// goes.
func FuzzIntent(f *testing.F) {
	for _, text := range []string{"GET /a HTTP/1.1\r\nHost: api.example.com\r\n\r\n", "GET http://evil/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
		"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n", "GET //evil/../x HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n", "FETCH / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: evil\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: api.example.com\r\n\r\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		r = r.WithContext(context.WithValue(context.Background(), visitorKey, &visitor{to: destination{"api.example.com", 80}}))
		i, err := intentOf(r)
		if err != nil {
			return
		}
		if host, ok := egress.Name(strings.TrimSuffix(r.Host, ":80")); i.Host != "api.example.com" || i.Port != 80 || !ok || host != i.Host || r.URL.Host != "" || r.URL.User != nil {
			t.Errorf("%q: %+v for %q", text, i, r.Host)
		}
	})
}
