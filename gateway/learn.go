package gateway

import (
	"context"
	"net"

	"nacre/egress"
)

// sshPort is where SSH is spoken to a name that nothing is known of.
const sshPort = 22

// listen hears what a program would say where nothing is granted, so that it can
// be recorded what it would need. Whatever it says is refused: no rule allows it,
// and nothing is dialled.
func (g *Gateway) listen(c *net.TCPConn, d destination) {
	decision, _ := g.rules().Decide(egress.Intent{Scheme: "tcp", Host: d.host, Port: d.port})
	_ = g.intend(context.Background(), "connect", decision, nil) // it is refused either way
	if d.port == sshPort {
		g.ssh(c, d)
		return
	}
	g.inspect(c, d)
}
