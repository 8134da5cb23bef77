package gateway

import (
	"net"
	"reflect"
	"slices"

	"nacre"
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

// change leaves only some of what was granted at the start, and grants other
// destinations besides. Connections that were there by a grant that is gone end;
// requests are decided anew in any case.
func (g *Gateway) change(c wire.Change) {
	before := g.now.Load()
	after := &current{rules: egress.Rules{Grants: c.Network}}
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
	g.meters.adjust(after.rules.Grants)
	g.now.Store(after)
	g.searches.forget()
	g.open.Range(func(key, value any) bool {
		d := value.(destination)
		if lost(before.rules.Toward(d.host, d.port), after.rules.Toward(d.host, d.port)) || len(after.secrets) < len(before.secrets) {
			reset(key.(net.Conn))
		}
		return true
	})
}

// lost tells whether some grant of before is not there any more.
func lost(before, after []nacre.NetworkGrant) bool {
	return slices.ContainsFunc(before, func(b nacre.NetworkGrant) bool {
		return !slices.ContainsFunc(after, func(a nacre.NetworkGrant) bool { return reflect.DeepEqual(a, b) })
	})
}
