// Package outside is the world as far as a gateway under test can reach it: a proxy
// that leads to a fake model in place of the real ones, with certificates of its
// own authority, and nowhere else. The owner's policy names both (upstream:).
package outside

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// hosts are where the fake model is in place of the real ones.
func hosts() []string {
	return []string{"api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"}
}

// World is one such world. Close it.
type World struct {
	Address   string // of the proxy
	Authority string // PEM

	proxy     net.Listener
	web       *http.Server
	inner     *doorway
	mu        sync.Mutex
	registry  string
	strangers []string
}

// New makes a world with a model in it.
func New(model http.Handler) (*World, error) {
	w := &World{inner: &doorway{waiting: make(chan net.Conn), closed: make(chan struct{})}}
	certificate, err := w.certificate()
	if err != nil {
		return nil, err
	}
	w.web = &http.Server{Handler: model, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	if w.proxy, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	w.Address = w.proxy.Addr().String()
	go func() { _ = w.web.ServeTLS(w.inner, "", "") }()
	go func() {
		for {
			c, err := w.proxy.Accept()
			if err != nil {
				return
			}
			go w.connect(c)
		}
	}()
	return w, nil
}

// Upstream is what a policy says to lead a gateway here; the authority is in a
// file of that name.
func (w *World) Upstream(file string) string {
	return fmt.Sprintf("upstream:\n  proxy: http://%s\n  authorities: [%s]\n", w.Address, file)
}

// Strangers are the other places that somebody got as far as the proxy with.
func (w *World) Strangers() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.strangers)
}

// Installs says from which host and port packages come meanwhile; empty: from
// nowhere. That one is real.
func (w *World) Installs(registry string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.registry = registry
}

func (w *World) installing(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.registry != "" && host == w.registry
}

// pass leads a connection to the real registry.
func (w *World) pass(c net.Conn, from io.Reader, to string) {
	defer c.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		_, _ = c.Write([]byte(refusal))
		return
	}
	defer out.Close()
	_, _ = c.Write([]byte(welcome))
	go func() {
		_, _ = io.Copy(out, from)
		out.Close()
	}()
	_, _ = io.Copy(c, out)
}

// What the proxy says.
const (
	welcome = "HTTP/1.1 200 OK\r\n\r\n"
	refusal = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
)

// Close ends it.
func (w *World) Close() {
	w.proxy.Close()
	w.web.Close()
}

// connect leads one connection to the model, or nowhere.
func (w *World) connect(c net.Conn) {
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
	if q.Method != http.MethodConnect || !slices.Contains(hosts(), host) {
		w.mu.Lock()
		w.strangers = append(w.strangers, q.Method+" "+q.Host)
		w.mu.Unlock()
		_, _ = c.Write([]byte(refusal))
		c.Close()
		return
	}
	_, _ = c.Write([]byte(welcome))
	select {
	case w.inner.waiting <- c:
	case <-w.inner.closed:
		c.Close()
	}
}

// certificate makes an authority and one certificate for all hosts.
func (w *World) certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a fake model"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: hosts(), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	w.Authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{signed, der}, PrivateKey: key}, nil
}

// doorway is a listener that connections are handed to.
type doorway struct {
	waiting chan net.Conn
	once    sync.Once
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
	d.once.Do(func() { close(d.closed) })
	return nil
}

func (d *doorway) Addr() net.Addr { return &net.TCPAddr{} }
