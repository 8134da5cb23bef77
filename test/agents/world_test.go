package agents

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre/test/fakemodel"
)

// modelHosts are where the fake model is in place of the real ones.
var modelHosts = []string{"api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"}

// world is all that a gateway can reach: a proxy that leads to the fake model,
// with certificates of its own authority, while something is installed to the
// registry, and nowhere else.
type world struct {
	address   string // of the proxy
	authority string // PEM
	registry  string // its host and port, while something is installed
	mu        sync.Mutex
	strangers []string // other places that somebody got as far as the proxy with
}

func newWorld(t *testing.T, model *fakemodel.Server) *world {
	t.Helper()
	w := &world{}
	inner := &doorway{make(chan net.Conn), make(chan struct{})}
	web := &http.Server{Handler: model, TLSConfig: &tls.Config{Certificates: []tls.Certificate{w.certificate(t)}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = l.Addr().String()
	go func() { _ = web.ServeTLS(inner, "", "") }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.connect(c, inner)
		}
	}()
	t.Cleanup(func() { l.Close(); web.Close() })
	return w
}

// connect leads one connection to the model, or nowhere.
func (w *world) connect(c net.Conn, inner *doorway) {
	from := bufio.NewReader(c)
	q, err := http.ReadRequest(from)
	if err != nil {
		c.Close()
		return
	}
	if q.Method == http.MethodConnect && w.installing(q.Host) {
		w.pass(c, from, q.Host)
		return
	}
	host, _, _ := net.SplitHostPort(q.Host)
	if q.Method != http.MethodConnect || !slices.Contains(modelHosts, host) {
		w.mu.Lock()
		w.strangers = append(w.strangers, q.Method+" "+q.Host)
		w.mu.Unlock()
		_, _ = c.Write([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"))
		c.Close()
		return
	}
	_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	select {
	case inner.waiting <- c:
	case <-inner.closed:
		c.Close()
	}
}

// installs says where packages come from meanwhile; empty: from nowhere.
func (w *world) installs(registry string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.registry = registry
}

func (w *world) installing(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.registry != "" && host == w.registry
}

// pass leads a connection to the real registry.
func (w *world) pass(c net.Conn, from io.Reader, to string) {
	defer c.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		_, _ = c.Write([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"))
		return
	}
	defer out.Close()
	_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	go func() {
		_, _ = io.Copy(out, from)
		out.Close()
	}()
	_, _ = io.Copy(c, out)
}

// check reports whoever wanted something else of the world.
func (w *world) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.strangers != nil {
		t.Errorf("somebody got out as far as the proxy: %q", w.strangers)
	}
}

// certificate makes an authority and one certificate for all model hosts.
func (w *world) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a fake model"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: modelHosts, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	w.authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{signed, der}, PrivateKey: key}
}

// doorway is a listener that connections are handed to.
type doorway struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func (d *doorway) Accept() (net.Conn, error) {
	select {
	case c := <-d.waiting:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d *doorway) Close() error {
	close(d.closed)
	return nil
}

func (d *doorway) Addr() net.Addr { return &net.TCPAddr{} }

// refused are the destinations that the record says were denied.
func refused(t *testing.T, record string) (list []string) {
	t.Helper()
	for line := range strings.Lines(record) {
		var e struct {
			Decision string            `json:"decision"`
			Detail   map[string]string `json:"detail"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if to := e.Detail["to"]; e.Decision == "deny" && to != "" && !slices.Contains(list, to) {
			list = append(list, to)
		}
	}
	return list
}
