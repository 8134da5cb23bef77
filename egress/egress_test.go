package egress_test

import (
	"net/netip"
	"net/url"
	pathpkg "path"
	"regexp"
	"strings"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/egress/intent"
)

func grant(id, host string, change func(*nacre.NetworkGrant)) nacre.NetworkGrant {
	g := nacre.NetworkGrant{Grant: nacre.Grant{ID: id}, Host: host, Ports: []int{443}, Scheme: "https",
		Methods: []string{"GET", "HEAD"}, Paths: []string{"/**"}}
	if change != nil {
		change(&g)
	}
	return g
}

var rules = egress.Rules{
	Grants: []nacre.NetworkGrant{
		grant("read", "api.example.com", nil),
		grant("issues", "*.example.org", func(g *nacre.NetworkGrant) {
			g.Methods, g.Paths, g.Ports = []string{"GET", "POST"}, []string{"/repos/*/issues", "/users/**"}, []int{443, 8443}
		}),
		grant("database", "127.0.0.1", func(g *nacre.NetworkGrant) { g.As, g.Scheme, g.Ports = "db.internal", "tcp", []int{5432} }),
		grant("address", "10.0.0.7", func(g *nacre.NetworkGrant) { g.Scheme, g.Ports = "http", []int{80} }),
		grant("pinned", "pinned.example.com", func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil }),
		grant("chat", "chat.example.com", func(g *nacre.NetworkGrant) { g.Upgrade = []string{"websocket"} }),
		grant("git", "git.example.com", func(g *nacre.NetworkGrant) {
			g.Methods, g.Paths, g.Push = []string{"FETCH", "PUSH"}, []string{"/acme/**"}, []string{"refs/heads/agent/*"}
		}),
		grant("ssh", "code.example.com", func(g *nacre.NetworkGrant) {
			g.Scheme, g.Ports, g.Methods, g.Paths = "ssh", []int{22}, []string{"FETCH"}, []string{"/acme/**"}
		}),
		grant("all", "*.example.net", nil),
	},
}

func TestDecide(t *testing.T) {
	for _, c := range []struct{ ask, rule, reason string }{ // no reason: allowed
		{"GET https://api.example.com/x", "read", ""},
		{"HEAD https://API.Example.COM./x", "read", ""},
		{"GET https://api.example.com:443/", "read", ""},
		{"GET https://api.example.com/a//b/%2e%2e/c;d", "read", ""}, // every path is granted
		{"POST https://api.example.com/x", "read", "is granted for GET, HEAD, not POST"},
		{"get https://api.example.com/x", "read", "not get"},
		{"GET http://api.example.com:443/x", "read", "is granted as https, not http"},
		{"GET https://api.example.com:8443/x", "default", "port 8443"},
		{"GET https://example.com/x", "default", "no grant is for example.com"},
		{"GET https://a.api.example.com/x", "default", "no grant"},
		{"GET https://api.example.com.evil.net/x", "default", "no grant"},
		{"POST https://a.example.org/repos/x/issues", "issues", ""},
		{"GET https://a.example.org:8443/users/x/keys", "issues", ""},
		{"GET https://a.example.org/users/", "issues", ""},
		{"GET https://a.example.org/users", "issues", "is not among"},
		{"GET https://a.example.org/repos/x/y/issues", "issues", "is not among"},
		{"GET https://a.example.org/repos//issues", "issues", "two ways"},
		{"GET https://a.example.org/repos/x%2fy/issues", "issues", "two ways"},
		{"GET https://a.example.org/users/../repos", "issues", "two ways"},
		{"GET https://a.example.org/users/%2E%2e/repos", "issues", "two ways"},
		{"GET https://a.example.org/users/x;y", "issues", "two ways"},
		{`GET https://a.example.org/users/..\x`, "issues", "two ways"},
		{"GET https://a.example.org/users/%41", "issues", "two ways"},
		{"GET https://a.example.org/users/%00", "issues", "two ways"},
		{"GET https://a.example.org/users/%252e%252e/x", "issues", "two ways"},
		{"GET https://a.example.org/users/%C3%A9%20x", "issues", ""},
		{"GET https://a.example.org/users/%zz", "issues", "is not one"},
		{"GET https://a.b.example.org/users/x", "default", "no grant"},
		{"GET https://example.org/users/x", "default", "no grant"},
		{"tcp://db.internal:5432", "database", ""},
		{"tcp://127.0.0.1:5432", "default", "no grant is for the address 127.0.0.1"},
		{"tcp://db.internal:5433", "default", "port 5433"},
		{"GET http://10.0.0.7/", "address", ""},
		{"GET http://[::ffff:10.0.0.7]/", "address", ""},
		{"GET http://10.0.0.8/", "default", "no grant is for the address 10.0.0.8"},
		{"FETCH https://git.example.com/acme/site/info/refs", "git", ""},
		{"PUSH https://git.example.com/acme/site/git-receive-pack", "git", ""},
		{"FETCH https://git.example.com/other/site/info/refs", "git", "is not among"},
		{"FETCH https://git.example.com/acme/../other/info/refs", "git", "two ways"},
		{"GET https://git.example.com/acme/site/info/refs", "git", "not GET"},
		{"FETCH https://api.example.com/acme/site/info/refs", "read", "not FETCH"},
		{"FETCH ssh://code.example.com/acme/site.git/git-upload-pack", "ssh", ""},
		{"PUSH ssh://code.example.com/acme/site.git/git-receive-pack", "ssh", "not PUSH"},
		{"FETCH ssh://code.example.com/other/git-upload-pack", "ssh", "is not among"},
		{"FETCH https://code.example.com:22/acme/site.git/git-upload-pack", "ssh", "granted as ssh, not https"},
		{"GET https://pinned.example.com/", "pinned", "nothing looks inside"},
		{"GET https://a.good.example.net/", "default", "no grant is for a.good.example.net"},
		{"GET https://good.example.net/", "all", ""},
		{"tcp://api.example.com:25", "default", "port 25"},
	} {
		i, err := intent.Parse(c.ask)
		if err != nil {
			t.Errorf("%s: %v", c.ask, err)
			continue
		}
		d, g := rules.Decide(i)
		if allowed := d.Effect == nacre.Allow; allowed != (c.reason == "") || d.Rule != c.rule || !strings.Contains(d.Reason, c.reason) || allowed != (g.ID != "") {
			t.Errorf("%s: %v", c.ask, d)
		}
	}
}

func TestZeroValueDenies(t *testing.T) {
	for _, r := range []egress.Rules{{}, {Grants: []nacre.NetworkGrant{{}}}, {Grants: []nacre.NetworkGrant{{Host: "a.b", Scheme: "https", Ports: []int{443}}}}} {
		d, _ := r.Decide(egress.Intent{Scheme: "https", Host: "a.b", Port: 443, Method: "GET", Path: "/"})
		if d.Effect != nacre.Deny {
			t.Errorf("%+v: %v", r, d)
		}
	}
	if (egress.Rules{}).Known("") || (egress.Rules{Grants: []nacre.NetworkGrant{{}}}).Known("a") {
		t.Error("a name is known without a grant")
	}
}

func TestUpgrade(t *testing.T) {
	for host, want := range map[string]nacre.Effect{"chat.example.com": nacre.Allow, "api.example.com": nacre.Deny} {
		d, _ := rules.Decide(egress.Intent{Scheme: "https", Host: host, Port: 443, Method: "GET", Path: "/", Upgrade: "websocket"})
		if d.Effect != want {
			t.Errorf("%v", d)
		}
	}
}

func TestPush(t *testing.T) {
	for ref, want := range map[string]nacre.Effect{"refs/heads/agent/x": nacre.Allow, "refs/heads/agent/x/y": nacre.Allow, "refs/heads/main": nacre.Deny, "refs/heads/agent": nacre.Deny, "": nacre.Deny} {
		i := egress.Intent{Scheme: "https", Host: "git.example.com", Port: 443, Method: "PUSH", Path: "/acme/site/git-receive-pack", Refs: []string{"refs/heads/agent/1", ref}}
		if d, _ := rules.Decide(i); d.Effect != want {
			t.Errorf("%q: %v", ref, d)
		}
	}
}

// TestName: one spelling for each name and address, and none for what only
// looks like one.
func TestName(t *testing.T) {
	for s, want := range map[string]string{
		"Example.COM": "example.com", "example.com.": "example.com", "xn--nxasmq6b.example": "xn--nxasmq6b.example", "a_b.example": "a_b.example",
		"127.0.0.1": "127.0.0.1", "::ffff:127.0.0.1": "127.0.0.1", "0:0:0:0:0:0:0:1": "::1", "localhost": "localhost",
	} {
		if got, ok := egress.Name(s); !ok || got != want {
			t.Errorf("%q: %q %v", s, got, ok)
		}
	}
	for _, s := range []string{"", ".", "..", "a..b", "example.com..", ".a", "-a.b", "a-.b", "bücher.example", "exam\u212ale.com", "a b", "a/b", "a:1", "a%2eb", "a\x00.b",
		"127.1", "0177.0.0.1", "0x7f.1", "2130706433", "1.2.3.4.5", "0x7f.0.0.1", "fe80::1%eth0", "[::1]", "*.a.b", "a@b", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "aa"} {
		if got, ok := egress.Name(s); ok {
			t.Errorf("%q is taken for %q", s, got)
		}
	}
}

// FuzzName: a name has one spelling, which is written in nothing but a few letters; what
// a resolver could take for an address is one, in the spelling that everybody knows.
func FuzzName(f *testing.F) {
	for _, s := range []string{"Example.com.", "127.1", "::ffff:1.2.3.4", "xn--a.b", "a%00.b", "0x7f000001"} {
		f.Add(s)
	}
	numeric := regexp.MustCompile(`^(0[xX][0-9a-fA-F]*|[0-9]+)$`) // inet_aton(3)
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := egress.Name(s)
		if !ok {
			return
		}
		if again, ok := egress.Name(name); !ok || again != name {
			t.Errorf("%q became %q, which becomes %q", s, name, again)
		}
		if a, err := netip.ParseAddr(name); err == nil {
			if a.String() != name || a.Zone() != "" || a.Is4In6() {
				t.Errorf("%q is the address %q", s, name)
			}
			return
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(name) > 253 || !strings.EqualFold(strings.TrimSuffix(s, "."), name) {
			t.Errorf("%q became %q", s, name)
		}
		if last := name[strings.LastIndexByte(name, '.')+1:]; numeric.MatchString(last) {
			t.Errorf("%q may be read as an address", name)
		}
	})
}

// FuzzPath: what is allowed by a pattern begins as the pattern does, however it
// is read.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/users/x", "/users/../x", "/users/%2e%2e/x", "/users//x", "/users/%2fx", "/users/;/x", "/%75sers/x"} {
		f.Add(s)
	}
	r := egress.Rules{Grants: []nacre.NetworkGrant{grant("users", "a.b", func(g *nacre.NetworkGrant) { g.Paths = []string{"/users/**"} })}}
	f.Fuzz(func(t *testing.T, path string) {
		d, _ := r.Decide(egress.Intent{Scheme: "https", Host: "a.b", Port: 443, Method: "GET", Path: path})
		if d.Effect != nacre.Allow {
			return
		}
		for range 2 { // a server may decode twice
			decoded, err := url.PathUnescape(path)
			if err != nil {
				return
			}
			path = decoded
			if clean := pathpkg.Clean(path); !strings.HasPrefix(clean+"/", "/users/") || strings.ContainsAny(path, "\\;") {
				t.Errorf("%q is allowed, and may be read as %q", path, clean)
			}
		}
	})
}
