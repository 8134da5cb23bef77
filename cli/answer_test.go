package cli

import (
	"strings"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/policy"
)

// TestAnswerBelowPolicies: who says yes to what a policy denies, or the ceiling does not
// allow, lets nothing out; what is let out has the least amounts of both.
func TestAnswerBelowPolicies(t *testing.T) {
	for _, c := range []struct {
		ceiling, host, refused string
		bytes, rate, at        int64 // most
	}{
		{"", "yes.example.com", "", 0, 0, 0},
		{"", "no.example.com", "the policy denies it", 0, 0, 0},
		{"", "little.example.com", "", 20, 30, 0},
		{"network: [{host: other.example.com}]\n", "yes.example.com", "no rule of the ceiling", 0, 0, 0},
		{"network: [{host: yes.example.com}]\n", "yes.example.com", "", 0, 0, 0},
		{"network: [{host: yes.example.com, bytes: 1000, rate: 10, connections: 2}]\n", "yes.example.com", "", 1000, 10, 2},
		{"network: [{host: little.example.com, bytes: 1000, rate: 10, connections: 2}]\n", "little.example.com", "", 20, 10, 2},
	} {
		l, _, g := running(t, "", "network: [{host: little.example.com, bytes: 20, rate: 30}]\ndeny: {network: [{host: no.example.com}]}\n")
		if c.ceiling != "" {
			var err error
			if l.asked.Ceiling, err = policy.Parse("ceiling", []byte("version: 1\n"+c.ceiling)); err != nil {
				t.Fatal(err)
			}
		}
		var said nacre.Event
		a := &asking{live: l, record: func(e nacre.Event) error { said = e; return nil }}
		a.ask(1, egress.Intent{Scheme: "https", Host: c.host, Port: 443, Method: "GET", Path: "/", Refs: []string{}})
		err := a.Answer(1, true)
		if c.refused == "" && (err != nil || len(g.more) != 1 || said.Decision != nacre.Allow) {
			t.Errorf("%+v: %v, %v, %v", c, err, g.more, said)
		}
		if n := g.more; c.refused == "" && (len(n) != 1 || n[0].Bytes != c.bytes || n[0].Rate != c.rate || n[0].Connections != c.at) {
			t.Errorf("%+v: %+v", c, n)
		}
		if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused) || len(g.more) != 0 || said.Decision == nacre.Allow || !strings.Contains(said.Reason, c.refused)) {
			t.Errorf("%+v: %v, %v, %v", c, err, g.more, said)
		}
		if len(a.Questions().List) != 0 {
			t.Errorf("%+v: it is asked again", c)
		}
	}
}
