package gateway

import (
	"fmt"
	"net"

	"nacre"
	"nacre/egress"
)

// maxOpen is how many connections one sandbox may have open: each costs the
// gateway two descriptors (six, where it passes bytes on unread) and some memory. What is over it is reset at once.
const maxOpen = 8192

// enter counts a connection in; where there are too many it is turned away.
func (g *Gateway) enter(c *net.TCPConn, d destination) bool {
	if g.crowd.Add(1) > maxOpen {
		g.crowd.Add(-1)
		g.turnAway(c, nacre.Decision{Capability: nacre.CapNetwork, Subject: egress.Intent{Scheme: "tcp", Host: d.host, Port: d.port}.String(), Rule: "limit",
			Reason: fmt.Sprintf("%d connections are open, and there may be no more at once", maxOpen)})
		return false
	}
	g.open.Store(net.Conn(c), d)
	return true
}

// leave counts a connection out, once.
func (g *Gateway) leave(c *net.TCPConn) {
	if _, was := g.open.LoadAndDelete(net.Conn(c)); was {
		g.crowd.Add(-1)
	}
}
