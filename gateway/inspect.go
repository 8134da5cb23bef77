package gateway

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"nacre"
	"nacre/egress"
)

// greeting is how long a program inside may take to say its first word.
const greeting = 30 * time.Second

// door is a listener for connections that have arrived already.
type door struct{ waiting chan net.Conn }

// Accept returns the next connection.
func (d *door) Accept() (net.Conn, error) {
	c, ok := <-d.waiting
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close does nothing: the door is open as long as its process lives.
func (d *door) Close() error { return nil }

// Addr is nowhere.
func (d *door) Addr() net.Addr { return &net.TCPAddr{} }

// visitor is a connection with where it goes.
type visitor struct {
	net.Conn
	first *bufio.Reader
	to    destination
	tls   bool
	gone  func()
}

// Close also forgets the connection.
func (v *visitor) Close() error {
	v.gone()
	return v.Conn.Close()
}

func (v *visitor) Read(p []byte) (int, error) { return v.first.Read(p) }

// inspect hands a connection to the web server, through TLS where it begins so.
func (g *Gateway) inspect(c *net.TCPConn, d destination) {
	v := &visitor{Conn: c, first: bufio.NewReaderSize(c, 1024), to: d, gone: func() { g.leave(c) }}
	_ = c.SetReadDeadline(time.Now().Add(greeting))
	first, err := v.first.Peek(1)
	if err != nil {
		v.gone()
		if !errors.Is(err, os.ErrDeadlineExceeded) { // opened ahead, and not needed
			reset(c)
			return
		}
		g.turnAway(c, nacre.Decision{Capability: nacre.CapNetwork, Subject: egress.Intent{Scheme: "tcp", Host: d.host, Port: d.port}.String(),
			Rule: "protocol", Reason: "the program said nothing, and only HTTP and TLS are granted there"})
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	const handshake = 22 // of TLS (RFC 8446, 5.1)
	if v.tls = first[0] == handshake; !v.tls {
		g.door.waiting <- v
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), greeting)
	defer cancel()
	secure := tls.Server(v, g.inward(d))
	if err := secure.HandshakeContext(ctx); err != nil {
		v.gone()
		g.unsafe(d, err)
		reset(c)
		return
	}
	g.door.waiting <- secure
}

// inward is the configuration for TLS inside: one name, the one dialled. A program that
// comes again need not be shown a certificate again, but has to say the name again.
func (g *Gateway) inward(d destination) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, DynamicRecordSizingDisabled: true, // no network is in between
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if err := d.named(hello.ServerName); err != nil {
				return nil, err
			}
			return g.signer.certify(d.host, g.granted(d))
		},
		VerifyConnection: func(s tls.ConnectionState) error { return d.named(s.ServerName) }}
	c.SetSessionTicketKeys([][32]byte{g.signer.tickets})
	return c
}

// named tells whether a name in a TLS handshake is the one that was dialled.
func (d destination) named(name string) error {
	said, ok := egress.Name(name)
	_, err := netip.ParseAddr(d.host)
	literal := err == nil && name == ""
	if !literal && (!ok || said != d.host) {
		return errName
	}
	return nil
}

// granted is the name that a destination's grant is for.
func (g *Gateway) granted(d destination) string {
	for _, n := range g.rules().Toward(d.host, d.port) {
		return strings.TrimPrefix(cmp.Or(n.As, n.Host), "*.")
	}
	return d.host
}

// unsafe records a handshake inside that failed for a reason worth telling.
func (g *Gateway) unsafe(d destination, err error) {
	decision := nacre.Decision{Capability: nacre.CapNetwork, Subject: egress.Intent{Scheme: "https", Host: d.host, Port: d.port}.String(),
		Rule: "tls", Reason: "the TLS handshake with the program inside failed: " + err.Error()}
	if errors.Is(err, errName) {
		decision.Rule, decision.Reason = "name", err.Error()
	}
	_ = g.intend(context.Background(), "connect", decision, nil)
}
