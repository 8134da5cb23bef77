package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"nacre"
	"nacre/egress"
)

// opaque passes TLS on unread, to the name that its first message names.
func (g *Gateway) opaque(c *net.TCPConn, d destination) {
	i := egress.Intent{Scheme: "https", Host: d.host, Port: d.port}
	_ = c.SetReadDeadline(time.Now().Add(greeting))
	said, err := hear(c)
	_ = c.SetReadDeadline(time.Time{})
	if err == nil && said.name != d.host {
		err = errName
	}
	if err == nil && said.ech {
		err = errors.New("the name in the TLS handshake is encrypted (ECH)")
	}
	if err != nil {
		_, _ = c.Write(unrecognized[:])
		g.turnAway(c, nacre.Decision{Capability: nacre.CapNetwork, Subject: i.String(), Rule: "name", Reason: err.Error()})
		return
	}
	g.splice(&replay{c, said.bytes}, d, i)
}

// unrecognized is the alert that the name is none of ours (RFC 6066, 3).
var unrecognized = [...]byte{21, 3, 3, 0, 2, 2, 112}

// hello is the first message of a TLS handshake.
type hello struct {
	name  string
	ech   bool
	bytes []byte
}

const (
	maxHello  = 16 << 10
	extension = 0xfe0d // encrypted_client_hello
)

var errHeard = errors.New("heard enough")

// hear reads the first message, however it is cut into pieces.
func hear(c net.Conn) (h hello, err error) {
	r := &recorder{Conn: c}
	heard := false
	err = tls.Server(r, &tls.Config{GetConfigForClient: func(said *tls.ClientHelloInfo) (*tls.Config, error) {
		h.name, heard = egress.Name(said.ServerName)
		h.ech = slices.Contains(said.Extensions, extension)
		return nil, errHeard
	}}).Handshake()
	h.bytes = r.heard
	switch {
	case heard:
		return h, nil
	case errors.Is(err, errHeard):
		return h, errName
	default:
		return h, errors.New("it does not begin with a TLS handshake")
	}
}

// recorder keeps what is read and lets nothing be written.
type recorder struct {
	net.Conn
	heard []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	if len(r.heard) >= maxHello {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := r.Conn.Read(p[:min(len(p), maxHello-len(r.heard))])
	r.heard = append(r.heard, p[:n]...)
	return n, err
}

func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// replay is a connection of which some was read already.
type replay struct {
	*net.TCPConn
	first []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.TCPConn.Read(p)
}

// WriteTo copies to another connection; what was read already comes first.
func (r *replay) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.first)
	r.first = nil
	if err != nil {
		return int64(n), err
	}
	rest, err := io.Copy(w, r.TCPConn)
	return int64(n) + rest, err
}
