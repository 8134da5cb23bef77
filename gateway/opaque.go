package gateway

import (
	"net"

	"nacre"
	"nacre/egress"
)

// opaque passes TLS on unread, to the name that its first message names.
func (g *Gateway) opaque(c net.Conn, d destination, _ nacre.NetworkGrant) {
	g.splice(c, d, egress.Intent{Scheme: "https", Host: d.host, Port: d.port})
}
