package gateway

import (
	"net"
	"reflect"
	"slices"

	"nacre/egress"
	"nacre/gateway/wire"
)

// current is what may be reached now, and with what.
type current struct {
	rules   egress.Rules
	secrets []wire.Secret
}

// rules are what may be reached now.
func (g *Gateway) rules() egress.Rules { return g.now.Load().rules }

// change leaves only some of what was granted. Connections whose grants are not
// what they were end; requests are decided anew in any case.
func (g *Gateway) change(c wire.Change) {
	before := g.now.Load()
	after := &current{rules: egress.Rules{Deny: g.config.Rules.Deny}}
	for _, n := range g.config.Rules.Grants {
		if slices.Contains(c.Grants, n.ID) {
			after.rules.Grants = append(after.rules.Grants, n)
		}
	}
	for _, s := range g.config.Secrets {
		if slices.Contains(c.Grants, s.Grant) {
			after.secrets = append(after.secrets, s)
		}
	}
	g.now.Store(after)
	g.searches.forget()
	g.open.Range(func(key, value any) bool {
		d := value.(destination)
		if !reflect.DeepEqual(before.rules.Toward(d.host, d.port), after.rules.Toward(d.host, d.port)) || len(after.secrets) < len(before.secrets) {
			reset(key.(net.Conn))
		}
		return true
	})
}
