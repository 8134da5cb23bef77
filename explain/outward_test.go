package explain

import (
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/egress"
	"nacre/manifest"
	"nacre/policy"
)

// outside is a plan with a few destinations, and a policy that denies one.
func outside(t testing.TB) (nacre.Plan, *policy.Authority) {
	t.Helper()
	m, err := manifest.Parse("agent.yaml", []byte(`version: 1
name: x
command: [x]
network:
  - {host: api.example.com, paths: [/v1/**]}
  - {host: 127.0.0.1, as: db.internal, ports: [8080], scheme: http}
  - {host: code.example.com, access: git, paths: [/acme/**]}
`))
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Parse("policy.yaml", []byte(`version: 1
network:
  - {host: api.example.com}
  - {host: 127.0.0.1, as: db.internal, ports: [8080], scheme: http}
  - {host: code.example.com, access: git}
deny:
  network: [{host: "*.evil.example.com"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	in := compile.Input{Manifest: m, Policy: pol, Owner: compile.Owner{Home: "/home/u", Cwd: "/home/u"}}
	auth, err := compile.Authority(in)
	if err != nil {
		t.Fatal(err)
	}
	return plan(t, in), auth
}

func denied(kind, to string, more ...string) nacre.Event {
	e := nacre.Event{Kind: "network." + kind, Rule: "default", Detail: map[string]string{"to": to}}
	for i := 0; i+1 < len(more); i += 2 {
		e.Detail[more[i]] = more[i+1]
	}
	return e
}

func TestOutward(t *testing.T) {
	p, auth := outside(t)
	granted := denied("request", "POST https://api.example.com:443/v1/x")
	granted.Rule = "network.1"
	limit := denied("connect", "tcp://new.example.com:8443")
	limit.Rule = "limit"
	allowed := denied("name", "new.example.com.", "type", "TypeA")
	allowed.Decision = nacre.Allow
	for _, c := range []struct {
		name string
		e    nacre.Event
		want string
	}{
		{"a name", denied("name", "New.Example.COM.", "type", "TypeA"), "network: [{host: new.example.com}]"},
		{"a name, IPv6", denied("name", "new.example.com.", "type", "TypeAAAA"), "network: [{host: new.example.com}]"},
		{"another question", denied("name", "new.example.com.", "type", "TypeTXT"), ""},
		{"backwards", denied("name", "1.0.0.127.in-addr.arpa.", "type", "TypePTR"), ""},
		{"a name of Nacre's own", denied("name", "openai.model.nacre.internal.", "type", "TypeA"), ""},
		{"a request", denied("request", "POST https://new.example.com:443/v1/x"), `network: [{host: new.example.com, methods: [POST], paths: [/v1/x]}]`},
		{"a port", denied("request", "GET http://new.example.com:8080/"), `network: [{host: new.example.com, ports: [8080], scheme: http, methods: [GET], paths: [/]}]`},
		{"another method", granted, `network: [{host: api.example.com, methods: [POST], paths: [/v1/x]}]`},
		{"what is granted, so a limit", denied("request", "GET https://api.example.com:443/v1/x"), ""},
		{"an alias", denied("request", "PUT http://db.internal:8080/x"), `network: [{host: "127.0.0.1", as: db.internal, ports: [8080], scheme: http, methods: [PUT], paths: [/x]}]`},
		{"a connection", denied("connect", "tcp://new.example.com:5432"), `network: [{host: new.example.com, ports: [5432], scheme: tcp}]`},
		{"by its port", denied("connect", "tcp://new.example.com:443"), `network: [{host: new.example.com}]`},
		{"git's", denied("connect", "tcp://new.example.com:22"), `network: [{host: new.example.com, scheme: ssh, access: git}]`},
		{"an address", denied("connect", "tcp://192.0.2.1:80"), `network: [{host: "192.0.2.1", scheme: http}]`},
		{"IPv6", denied("connect", "tcp://[2001:db8::1]:443"), `network: [{host: "2001:db8::1"}]`},
		{"a fetch", denied("request", "FETCH https://code.example.com:443/other/x.git"), `network: [{host: code.example.com, methods: [FETCH], paths: [/other/x.git]}]`},
		{"a push", denied("request", "PUSH https://code.example.com:443/acme/x.git", "refs", "refs/heads/a refs/heads/b"),
			`network: [{host: code.example.com, methods: [PUSH], paths: [/acme/x.git], push: [refs/heads/a, refs/heads/b]}]`},
		{"a push to nobody knows where", denied("request", "PUSH https://code.example.com:443/acme/x.git"), ""},
		{"a WebSocket", denied("request", "GET https://api.example.com:443/v1/x", "upgrade", "websocket"),
			`network: [{host: api.example.com, methods: [GET], paths: [/v1/x], upgrade: [websocket]}]`},
		{"another protocol", denied("request", "GET https://api.example.com:443/v1/x", "upgrade", "h2c"), ""},
		{"denied by a rule", denied("name", "x.evil.example.com.", "type", "TypeA"), ""},
		{"a packet", denied("packet", "udp://8.8.8.8:53"), ""},
		{"a tool", denied("tool", "POST https://new.example.com:443/x"), ""},
		{"a limit", limit, ""},
		{"what is allowed", allowed, ""},
		{"many", denied("request", "many others"), ""},
		{"a quote", denied("request", "GET https://new.example.com:443/a'b"), ""},
		{"a shell's", denied("request", "GET https://new.example.com:443/$(id)"), ""},
		{"a pattern", denied("request", "GET https://new.example.com:443/*"), ""},
		{"two readings", denied("request", "GET https://new.example.com:443/a/../b"), ""},
		{"an escape", denied("request", "GET https://new.example.com:443/\x1b[2J"), ""},
		{"a name with a line break", denied("name", "a\nb.example.com.", "type", "TypeA"), ""},
		{"cut", denied("request", "GET https://new.example.com:443/"+strings.Repeat("a", 512)), ""},
		{"a ref that is none", denied("request", "PUSH https://code.example.com:443/acme/x.git", "refs", "refs/heads/$(id)"), ""},
		{"nothing", nacre.Event{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Outward(p, auth, c.e); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			if got := Outward(p, nil, c.e); got != "" {
				t.Errorf("%s, though nobody can tell what may be allowed", got)
			}
		})
	}
}

// FuzzOutward: whatever a program asks for, the line that is shown is harmless to
// terminal and shell, is a manifest's, and grants that one thing.
func FuzzOutward(f *testing.F) {
	for _, kind := range []string{"name", "connect", "request"} {
		f.Add(kind, "new.example.com.", "", "")
	}
	f.Add("request", "PUSH https://code.example.com:443/acme/x.git", "refs/heads/a", "")
	f.Add("request", "GET https://new.example.com:443/a'b\x1b", "", "websocket")
	f.Add("connect", "tcp://[2001:db8::1]:5432", "", "")
	p, auth := outside(f)
	f.Fuzz(func(t *testing.T, kind, to, refs, upgrade string) {
		e := denied(kind, to, "refs", refs, "upgrade", upgrade, "type", "TypeA")
		line := Outward(p, auth, e)
		if line == "" {
			return
		}
		if strings.ContainsAny(line, "'$`\\!#\n\x1b") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q", line)
		}
		n, ok := reread(line)
		i, _ := intended(e)
		if !ok || !allows(n, i) {
			t.Fatalf("%q does not allow %q", line, to)
		}
		for _, other := range []egress.Intent{{Scheme: i.Scheme, Host: "other.example.com", Port: i.Port, Method: i.Method, Path: i.Path, Refs: i.Refs},
			{Scheme: i.Scheme, Host: i.Host, Port: i.Port, Method: "DELETE", Path: i.Path + "x"}} {
			if allows(n, other) {
				t.Fatalf("%q allows %v too", line, other)
			}
		}
	})
}
