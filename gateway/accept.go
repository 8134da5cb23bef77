package gateway

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// destination is where a program inside wanted to go.
type destination struct {
	host string // a name, or an address
	port int
}

// accept takes what programs inside connect to. One connection is held up by
// nothing that another does.
func (g *Gateway) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if t, ok := err.(interface{ Temporary() bool }); ok && t.Temporary() { //nolint:staticcheck // out of descriptors, for now
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return
		}
		g.share.Do(half)
		go g.arrived(c.(*net.TCPConn))
	}
}

// half leaves processors to those who talk with each other through the gateway: most of
// what it does is too short to be worth waking another for it.
func half() { runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2)) }

// arrived finds out where a connection was meant to go.
func (g *Gateway) arrived(c *net.TCPConn) {
	to, err := dialled(c)
	if err != nil || to.Addr().IsLoopback() || to.Addr().IsUnspecified() {
		// To our own listener directly: there is nothing that was meant.
		g.turnAway(c, nacre.Decision{Capability: nacre.CapNetwork, Subject: "the gateway's own port", Rule: "default", Reason: "nothing is behind it"})
		return
	}
	d := destination{to.Addr().Unmap().String(), int(to.Port())}
	if name, ok := g.names.of(to.Addr()); ok {
		d.host = name
	} else if to.Port() == 53 {
		g.answerTCP(c)
		return
	}
	g.serve(c, d)
}

// dialled is the address that the program inside connected to
// (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST).
func dialled(c *net.TCPConn) (to netip.AddrPort, err error) {
	const originalDST = 80
	raw, err := c.SyscallConn()
	if err != nil {
		return to, err
	}
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	failed := raw.Control(func(fd uintptr) {
		if local.Addr().Unmap().Is4() {
			var m *unix.IPv6Mreq // as large as a sockaddr_in
			if m, err = unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, originalDST); err == nil {
				a := m.Multiaddr
				to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), uint16(a[2])<<8|uint16(a[3]))
			}
			return
		}
		var m *unix.IPv6MTUInfo // begins with a sockaddr_in6
		if m, err = unix.GetsockoptIPv6MTUInfo(int(fd), unix.IPPROTO_IPV6, originalDST); err == nil {
			to = netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), m.Addr.Port<<8|m.Addr.Port>>8)
		}
	})
	if failed != nil {
		return to, failed
	}
	return to, err
}

// serve speaks what the grants for a destination say.
func (g *Gateway) serve(c *net.TCPConn, d destination) {
	if !g.enter(c, d) {
		return
	}
	grants := g.rules().Toward(d.host, d.port)
	switch {
	case len(grants) == 0 && g.config.Learn:
		g.listen(c, d)
	case len(grants) == 0:
		defer g.leave(c)
		decision, _ := g.rules().Decide(egress.Intent{Scheme: "tcp", Host: d.host, Port: d.port})
		g.turnAway(c, decision)
	case slices.ContainsFunc(grants, func(n nacre.NetworkGrant) bool { return n.Scheme == "ssh" }):
		g.ssh(c, d)
	case slices.ContainsFunc(grants, looksInside):
		g.inspect(c, d)
	case grants[0].TLS != "":
		defer g.leave(c)
		g.opaque(c, d)
	default:
		defer g.leave(c)
		g.splice(c, d, egress.Intent{Scheme: "tcp", Host: d.host, Port: d.port})
	}
}

// looksInside tells whether the gateway looks for requests inside.
func looksInside(n nacre.NetworkGrant) bool {
	return strings.HasPrefix(n.Scheme, "http") && n.TLS == ""
}

// turnAway records a refusal and resets the connection, so that the program
// inside knows at once.
func (g *Gateway) turnAway(c net.Conn, d nacre.Decision) {
	_ = g.intend(context.Background(), "connect", d, nil)
	reset(c)
}

// reset ends a connection with an error for whoever is inside.
func reset(c net.Conn) {
	if t, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

// splice connects a program with a destination and looks at nothing.
func (g *Gateway) splice(c net.Conn, d destination, i egress.Intent) {
	ctx := context.Background()
	decision, grant := g.rules().Decide(i)
	m := g.meters.of(grant)
	if decision.Effect == nacre.Allow {
		if why, _ := m.admit(0, time.Now()); why != "" {
			decision.Effect, decision.Reason = nacre.Deny, why
		} else {
			defer m.done()
		}
	}
	if err := g.intend(ctx, "connect", decision, nil); err != nil {
		reset(c)
		return
	}
	out, err := g.dialer.dial(ctx, grant, d.host, d.port)
	if err != nil {
		g.failed(decision, err)
		reset(c)
		return
	}
	relay(c, out, m)
}

// failed records that an allowed destination could not be reached.
func (g *Gateway) failed(d nacre.Decision, err error) {
	d.Effect, d.Reason = nacre.Deny, wire.Allowed+"but it cannot be reached: "+err.Error()
	_ = g.intend(context.Background(), "connect", d, nil)
}
