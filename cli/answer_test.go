package cli

import (
	"strings"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/policy"
)

// TestAnswerBelowPolicies: who says yes to what a policy denies, or the ceiling does not
// allow, lets nothing out.
func TestAnswerBelowPolicies(t *testing.T) {
	for _, c := range []struct{ ceiling, host, refused string }{
		{"", "yes.example.com", ""},
		{"", "no.example.com", "the policy denies it"},
		{"network: [{host: other.example.com}]\n", "yes.example.com", "no rule of the ceiling"},
		{"network: [{host: yes.example.com}]\n", "yes.example.com", ""},
	} {
		l, _, g := running(t, "", "deny: {network: [{host: no.example.com}]}\n")
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
		if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused) || len(g.more) != 0 || said.Decision == nacre.Allow || !strings.Contains(said.Reason, c.refused)) {
			t.Errorf("%+v: %v, %v, %v", c, err, g.more, said)
		}
		if len(a.Questions().List) != 0 {
			t.Errorf("%+v: it is asked again", c)
		}
	}
}
