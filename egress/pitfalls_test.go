package egress_test

import (
	"testing"

	"nacre"
	"nacre/egress"
)

// TestEmptyListsDeny: no list that is empty allows anything, whichever it is.
func TestEmptyListsDeny(t *testing.T) {
	whole := func() nacre.NetworkGrant {
		return nacre.NetworkGrant{Host: "a.example.com", Scheme: "https", Ports: []int{443}, Methods: []string{"GET", "PUSH"}, Paths: []string{"/**"}, Push: []string{"refs/heads/*"}, Upgrade: []string{"websocket"}}
	}
	intent := egress.Intent{Scheme: "https", Host: "a.example.com", Port: 443, Method: "GET", Path: "/x"}
	for name, c := range map[string]struct {
		change func(*nacre.NetworkGrant, *egress.Intent)
		want   nacre.Effect
	}{
		"as it is":   {func(*nacre.NetworkGrant, *egress.Intent) {}, nacre.Allow},
		"no host":    {func(g *nacre.NetworkGrant, _ *egress.Intent) { g.Host = "" }, nacre.Deny},
		"no ports":   {func(g *nacre.NetworkGrant, _ *egress.Intent) { g.Ports = nil }, nacre.Deny},
		"no scheme":  {func(g *nacre.NetworkGrant, _ *egress.Intent) { g.Scheme = "" }, nacre.Deny},
		"no methods": {func(g *nacre.NetworkGrant, _ *egress.Intent) { g.Methods = nil }, nacre.Deny},
		"no paths":   {func(g *nacre.NetworkGrant, _ *egress.Intent) { g.Paths = nil }, nacre.Deny},
		"no upgrade": {func(g *nacre.NetworkGrant, i *egress.Intent) { g.Upgrade, i.Upgrade = nil, "websocket" }, nacre.Deny},
		"no push": {func(g *nacre.NetworkGrant, i *egress.Intent) {
			g.Push, i.Method, i.Refs = nil, "PUSH", []string{"refs/heads/x"}
		}, nacre.Deny},
		"empty lists": {func(g *nacre.NetworkGrant, _ *egress.Intent) {
			g.Ports, g.Methods, g.Paths = []int{}, []string{}, []string{}
		}, nacre.Deny},
		"an empty host asked for": {func(g *nacre.NetworkGrant, i *egress.Intent) { g.Host, i.Host = "", "" }, nacre.Deny},
	} {
		g, i := whole(), intent
		c.change(&g, &i)
		if d, _ := (egress.Rules{Grants: []nacre.NetworkGrant{g}}).Decide(i); d.Effect != c.want {
			t.Errorf("%s: %v", name, d)
		}
	}
}
