package learn

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"nacre"
	"nacre/denials"
	"nacre/egress"
	"nacre/egress/intent"
)

// FuzzProposal: whatever a program tries, what is proposed is a manifest, a harmless text,
// and asks for no host, port or method that was not tried; a push only for its refs.
func FuzzProposal(f *testing.F) {
	for _, to := range []string{"GET https://a.test:443/x/**", "PUSH https://a.test:443/o/r/git-receive-pack", "FETCH ssh://a.test:22/o/r", "GET http://[::1]:80/", "GET https://a.test:443/a%2fb/\x1b\n  - {host: evil.test}"} {
		f.Add("network.request", to, "refs/heads/a refs/heads/b", "network.connect", "tcp://a.test:443", "/usr/bin/x")
	}
	f.Add("network.packet", "udp://8.8.8.8:53", "", "network.name", "a.test.", "\u2028")
	f.Add("learn.answered", "GET https://a.test:443/", "", "network.dial", "tls://\n:1", "a\nb")
	f.Fuzz(func(t *testing.T, kind, to, refs, kind2, to2, by string) {
		events := []nacre.Event{denied(kind, to, refs), denied(kind2, to2, "")}
		text, m := propose(t, []denials.Denial{{Decision: nacre.Decision{Subject: by}, Count: 1, Programs: []string{by}}}, events...)
		if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && (!unicode.IsPrint(r) || r > unicode.MaxASCII) }) {
			t.Errorf("not plain: %q", text)
		}
		for _, n := range m.Network {
			tried := slices.ContainsFunc(events, func(e nacre.Event) bool {
				i, err := intent.Parse(e.Detail["to"])
				if err != nil || i.Host != n.Host || len(n.Ports) > 0 && !slices.Contains(n.Ports, i.Port) {
					return false
				}
				return n.Access == "git" && (i.Method == egress.Fetch || i.Method == egress.Push) || slices.Contains(n.Methods, i.Method)
			})
			if !tried || len(n.Methods) > 2 || n.Host == "" || strings.Contains(n.Host, "*") {
				t.Errorf("%+v of %q and %q", n, to, to2)
			}
			for _, ref := range n.Push {
				if !slices.Contains(strings.Fields(refs), ref) {
					t.Errorf("a push to %q of %q", ref, refs)
				}
			}
		}
		if len(m.Files)+len(m.Syscalls)+len(m.Tools)+len(m.Secrets)+len(m.Models) > 0 {
			t.Errorf("more than was tried: %s", text)
		}
	})
}
