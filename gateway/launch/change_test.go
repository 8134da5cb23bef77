package launch

import (
	"testing"

	"nacre"
)

func TestAddable(t *testing.T) {
	https := func(host string) nacre.NetworkGrant {
		return nacre.NetworkGrant{Host: host, Scheme: "https", Ports: []int{443}}
	}
	with := func(n nacre.NetworkGrant, change func(*nacre.NetworkGrant)) nacre.NetworkGrant {
		change(&n)
		return n
	}
	secret := func(name, hosts string) nacre.NamedGrant {
		return nacre.NamedGrant{Name: name, Detail: map[string]string{"hosts": hosts}}
	}
	begun := nacre.Plan{Network: []nacre.NetworkGrant{https("api.example.com"), {Host: "127.0.0.1", As: "db.test", Scheme: "http"}},
		Secrets: []nacre.NamedGrant{secret("old", "api.example.com"), secret("near", "db.test")}}
	whole := nacre.Plan{Secrets: append(begun.Secrets, secret("new", "*.example.org"))}
	for name, c := range map[string]struct {
		n    nacre.NetworkGrant
		want bool
	}{
		"another host":                    {https("www.example.com"), true},
		"more of a host with a secret":    {with(https("api.example.com"), func(n *nacre.NetworkGrant) { n.Methods = []string{"POST"} }), true},
		"a host for a new secret":         {https("a.example.org"), false},
		"in plain where a secret is":      {with(https("api.example.com"), func(n *nacre.NetworkGrant) { n.Scheme = "http" }), false},
		"unread where a secret is":        {with(https("api.example.com"), func(n *nacre.NetworkGrant) { n.TLS = "opaque" }), false},
		"elsewhere under a secret's name": {nacre.NetworkGrant{Host: "192.0.2.1", As: "db.test", Scheme: "http"}, false},
		"ssh":                             {with(https("www.example.com"), func(n *nacre.NetworkGrant) { n.Scheme = "ssh" }), false},
		"tcp":                             {with(https("www.example.com"), func(n *nacre.NetworkGrant) { n.Scheme = "tcp" }), false},
		"a name of Nacre's own":           {nacre.NetworkGrant{Host: "192.0.2.1", As: "x.nacre.internal", Scheme: "http"}, false},
	} {
		if err := Addable(begun, whole, c.n); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
