package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// BenchmarkLookedInto is what the gateway's own work takes, in one process with both
// ends: a body that is searched, and a short request.
func BenchmarkLookedInto(b *testing.B) {
	const piece = 1 << 20
	body := make([]byte, piece)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int64
		_, _ = fmt.Sscan(r.URL.RawQuery, &n)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		for ; n > 0; n -= piece {
			_, _ = w.Write(body[:min(n, piece)])
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	grant := nacre.NetworkGrant{Grant: nacre.Grant{ID: "network.1"}, Host: "127.0.0.1", As: "example.com", Scheme: "https", Ports: []int{port}, Methods: []string{"GET"}, Paths: []string{"/**"}, Rate: 1 << 40}
	g, _ := newGateway(b, wire.Config{Secrets: bound, Rules: egress.Rules{Grants: []nacre.NetworkGrant{grant}},
		Authorities: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})})
	go func() { _ = g.web.Serve(g.door) }()
	client := &http.Client{Transport: &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		theirs, ours := tcpPair(b)
		d := destination{"example.com", port}
		go func() {
			secure := tls.Server(&visitor{Conn: ours, first: bufio.NewReaderSize(ours, 1024), to: d, tls: true, gone: func() {}}, g.inward(d))
			if secure.Handshake() == nil {
				g.door.waiting <- secure
			}
		}()
		return tls.Client(theirs, &tls.Config{ServerName: "example.com", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}), nil
	}}}
	get := func(b *testing.B, n int) {
		r, err := client.Get(fmt.Sprintf("https://example.com:%d/?%d", port, n))
		if err != nil {
			b.Fatal(err)
		}
		if got, err := io.Copy(io.Discard, r.Body); err != nil || got != int64(n) {
			b.Fatal(got, err)
		}
		r.Body.Close()
	}
	b.Run("body", func(b *testing.B) {
		const amount = 64 << 20
		b.SetBytes(amount)
		b.ReportAllocs()
		for b.Loop() {
			get(b, amount)
		}
	})
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b, 100)
		}
	})
}
