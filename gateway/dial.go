package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"nacre"
	"nacre/gateway/wire"
)

// dialer opens connections outside. It looks at the address that is really
// dialled, after every look-up, so that no name can lead somewhere that was not
// granted.
type dialer struct {
	resolver *net.Resolver
	own      []netip.Addr
	roots    func() *x509.CertPool
	proxy    string
	login    string
	patience time.Duration // with the owner's proxy
}

const (
	connecting = 15 * time.Second // until somebody outside has answered
	asking     = 5 * time.Second  // for a name
)

func newDialer(c wire.Config) *dialer {
	d := &dialer{patience: connecting, own: c.Own, proxy: c.Proxy, login: string(c.ProxyLogin), roots: sync.OnceValue(func() *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(c.Authorities)
		if c.System != nil {
			text, _ := io.ReadAll(c.System) // whom it does not name is not trusted
			pool.AppendCertsFromPEM(text)
		}
		return pool
	})}
	// Without files to read, Go's resolver asks two servers on loopback: these
	// calls lead to the owner's, in turn.
	d.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if len(c.Resolvers) == 0 {
			return nil, errors.New("no name server is known")
		}
		which := 0
		if host, _, _ := net.SplitHostPort(address); host == "::1" {
			which = 1
		}
		outside := &net.Dialer{Timeout: asking}
		return outside.DialContext(ctx, network, c.Resolvers[which%len(c.Resolvers)])
	}}
	return d
}

// dial connects to a grant's host: to the address where it names one, else to
// whatever public address the name has.
func (d *dialer) dial(ctx context.Context, g nacre.NetworkGrant, host string, port int) (net.Conn, error) {
	granted, err := netip.ParseAddr(g.Host)
	if d.proxy != "" && (err != nil || class(granted) == "") {
		return d.through(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if err == nil {
		host = granted.String()
	} else {
		host += "." // a whole name: no search
	}
	outside := &net.Dialer{Timeout: connecting, Resolver: d.resolver, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return d.permit(address, granted)
	}}
	return outside.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// permit looks at the address that is about to be dialled.
func (d *dialer) permit(address string, granted netip.Addr) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := to.Addr().Unmap()
	switch why := class(a); {
	case granted.IsValid() && a == granted:
		return nil
	case granted.IsValid():
		return fmt.Errorf("%s is not the address that is granted", a)
	case why != "":
		return fmt.Errorf("%w: %s (%s)", errNotPublic, a, why)
	case slices.Contains(d.own, a):
		return fmt.Errorf("%w: %s, which is this machine", errNotPublic, a)
	}
	return nil
}

// secure is the configuration for TLS outside.
func (d *dialer) secure() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots(), ClientSessionCache: tls.NewLRUClientSessionCache(64),
		GetClientCertificate: func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if t := tripOf(asked.Context()); t != nil {
				t.certificate.Store(true)
			}
			return new(tls.Certificate), nil // many ask, and do without
		}}
}
