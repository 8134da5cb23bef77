package policy

import (
	gopath "path"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/manifest"
)

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"version":            {"version: 2", "version of this grammar: 1"},
		"no version":         {"files: {}", `"version" is missing`},
		"stage":              {"version: 1\nfiles: {roots: [{path: /a, access: stage}]}", "reserved and not available yet"},
		"relative root":      {"version: 1\nfiles: {roots: [projects]}", "absolute path or one below ~/"},
		"another's home":     {"version: 1\nfiles: {roots: [~bob/x]}", "only the owner's own home"},
		"unblocked unknown":  {"version: 1\nfiles: {unblocked: [.shh]}", "not one of the built-in names"},
		"unblocked in part":  {"version: 1\nfiles: {unblocked: [\".*\"]}", "not one of the built-in names"},
		"blocked everything": {"version: 1\nfiles: {blocked: [\"*\"]}", "expected a name"},
		"blocked dots":       {"version: 1\nfiles: {blocked: [a/../b]}", "expected a name"},
		"blocked bad glob":   {"version: 1\nfiles: {blocked: [\"a[\"]}", "expected a name"},
		"agent by name":      {"version: 1\nagents: [{name: coder}]", "an agent chooses its own name"},
		"agent by nothing":   {"version: 1\nagents: [{syscalls: [debug]}]", "exactly one of"},
		"agent by two":       {"version: 1\nagents: [{lock: a, manifest: /x}]", "exactly one of"},
		"agent digest":       {"version: 1\nagents: [{digest: abc}]", "expected the agent's manifest, by its digest"},
		"agent in an agent":  {"version: 1\nagents: [{lock: a, agents: []}]", `unknown key: "agents"`},
		"unknown tier":       {"version: 1\naccept: [everything]", "expected one of limits-watchdog"},
		"model, no budget":   {"version: 1\nmodels: [{provider: p, models: [m]}]", "expected a budget"},
		"deny upper case":    {"version: 1\ndeny: {network: [Example.COM]}", "lower-case host name"},
		"deny in an agent":   {"version: 1\nagents: [{lock: a, deny: {network: [A]}}]", "lower-case host name"},
		"limit of nothing":   {"version: 1\nlimits: {memory: 0}", "at least 16MiB"},
		"limit too low":      {"version: 1\nlimits: {open-files: 44}", "limits: open-files: expected a whole number of at most 4194304, and at least 64"},
	} {
		_, err := Parse("policy.yaml", []byte(c.text))
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "policy.yaml:") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestBuiltInNames(t *testing.T) {
	b, err := NewBlocked(BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/home/u/.ssh": ".ssh", "/home/u/.ssh/id_rsa": ".ssh", ".ssh": ".ssh", "a/.SSH/b": ".ssh", "/x/.ſsh": ".ssh", "/x/.ssH/": ".ssh",
		"/p/credentials": "credentials", "/p/Credentials/x": "credentials", "/p/credentials-helper/x": "", "/p/mycredentials": "",
		"/p/.env": ".env", "/p/.ENV": ".env", "/p/my.env.txt": "", "/p/.environment": "", "/p/env": "", "/p/.env.local": ".env.*",
		"/p/.env.production.local": ".env.*", "/p/.env.example": "", "/p/.env.Sample": "", "/p/.env.template": "", "/p/.env.example.local": ".env.*", "/p/.envrc": "",
		"/p/id_rsa": "id_rsa", "/p/id_rsa.pub": "", "/p/id_ed25519_sk": "id_*_sk", "/p/id_ecdsa_sk": "id_*_sk", "/p/id_x_sky": "",
		"/h/.config/gcloud/x": ".config/gcloud", "/h/gcloud": "", "/h/.config/x/gcloud": "", ".config/gcloud": ".config/gcloud", "gcloud": "",
		"/h/.cargo/credentials.toml": ".cargo/credentials.toml", "/h/p/credentials.toml": "", "/h/.cargo/bin": "",
		"/h/.m2/settings.xml": ".m2/settings.xml", "/h/settings.xml": "", "/h/secrets.KDBX": "*.kdbx", "/h/kdbx": "",
		"/h/.bash_history": ".*_history", "/h/my_history": "", "/h/.mozilla/firefox": ".mozilla", "/h/.config/google-chrome-beta/x": ".config/google-chrome*",
		"/h/.local/share/keyrings": ".local/share/keyrings", "/var/x/docker.sock": "docker.sock", "/x/S.gpg-agent.ssh": "S.gpg-agent*",
		"/tmp/ssh-XXXX/agent.1": "ssh-*/agent.*", "/x/agent.1": "", "/h/.config/nacre/policy.yaml": ".config/nacre", "/h/nacre": "",
		"/h/.claude/.credentials.json": ".credentials.json", "/p/.secret": ".secret", "/p/secret": "", "/p/.secrets": "", "/": "", "": "",
		"/p/\xff.ssh": "", "/p/.netrc": ".netrc", "/p/new\nline/.aws": ".aws",
	} {
		pattern, ok := b.Match(path)
		if pattern != want || ok != (want != "") {
			t.Errorf("Match(%q) = %q, want %q", path, pattern, want)
		}
	}
}

func TestBlocked(t *testing.T) {
	b, err := NewBlocked([]string{"token", "/home/u/own", `/home/u/a\*b/c`, "x/*/z"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"/home/u/own": true, "/home/u/own/x": true, "/srv/home/u/own": false, "/home/u/owner": false,
		"/home/u/a*b/c": true, "/home/u/axb/c": false, "/q/x/y/z": true, "/q/x/z": false, "/x/y/z": true, "/a/TOKEN/b": true, "/a/tokens": false,
	} {
		if _, ok := b.Match(path); ok != want {
			t.Errorf("Match(%q) = %v", path, ok)
		}
	}
	if p, ok := b.MatchEntry([]string{"home", "u"}, "own"); !ok || p != "/home/u/own" {
		t.Error("MatchEntry misses an anchored pattern")
	}
	if _, ok := b.MatchEntry([]string{"a", "token"}, "x"); ok {
		t.Error("MatchEntry looks at the folder itself")
	}
	again, err := NewBlocked(b.Patterns())
	if err != nil || !slices.Equal(again.Patterns(), b.Patterns()) {
		t.Error("a matcher made of its patterns is another")
	}
	if _, ok := again.Match("/home/u/own"); !ok {
		t.Error("a matcher made of its patterns matches less")
	}
}

func BenchmarkMatchEntry(b *testing.B) {
	blocked, err := NewBlocked(BuiltIn())
	if err != nil {
		b.Fatal(err)
	}
	parents := []string{"home", "u", "projects", "site", "node_modules", "left-pad"}
	for b.Loop() {
		blocked.MatchEntry(parents, "package.json")
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct{ written, base, home, want string }{
		{"/a/../b/", "", "", "/b"}, {"/../..", "", "", "/"}, {"a", "/b", "/h", "/b/a"}, {"..", "/b/c", "/h", "/b"}, {"~", "", "/h", "/h"}, {"~/a", "/b", "/h", "/h/a"},
		{"./~x", "/b", "/h", "/b/~x"}, {"~/a", "/b", "", ""}, {"~/etc", "", "", ""}, {"~/a", "/b", "h", ""}, {"~x", "/b", "/h", ""}, {"~x/a", "/b", "/h", ""},
		{"a", "", "/h", ""}, {"a", ".", "/h", ""}, {"", "/b", "/h", ""}, {"/a\x00b", "/b", "/h", ""}, {"/" + strings.Repeat("a", 255), "", "", "/" + strings.Repeat("a", 255)},
		{"/" + strings.Repeat("a", 256), "", "", ""}, {strings.Repeat("/abcdefgh", 456), "", "", ""},
	} {
		got, err := Resolve(c.written, c.base, c.home, nacre.Origin{})
		if got != c.want || (err == nil) != (c.want != "") || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("Resolve(%.20q, %q, %q) = %.20q, %v", c.written, c.base, c.home, got, err)
		}
	}
}

func TestZeroRulesAllowNothing(t *testing.T) {
	a, err := New(Owner{Home: "/home/u"}, nacre.Subject{}, nil, nil, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	named := func(n manifest.Named) nacre.Decision {
		d, _ := a.Named(n)
		return d
	}
	for _, d := range []nacre.Decision{a.Files("/x", nacre.Read), named(manifest.Named{Capability: "accept", Name: string(nacre.TierWatchdog)}),
		named(manifest.Entry(nacre.CapNetwork, manifest.Network{})), named(manifest.Entry(nacre.CapNetwork, manifest.Network{NetworkGrant: nacre.NetworkGrant{
			Host: "a.io", Ports: []int{443}, Scheme: "https", Methods: []string{"GET"}, Paths: []string{"/"}}}))} {
		if d.Effect != nacre.Deny || d.Rule == "" || d.Reason == "" {
			t.Errorf("%v", d)
		}
	}
	for _, c := range []nacre.Capability{nacre.CapSecrets, nacre.CapDevices, nacre.CapSyscalls, nacre.CapEnvironment, nacre.CapImage, ""} {
		if d, _ := a.Named(manifest.Named{Capability: c, Name: "x"}); d.Effect != nacre.Deny {
			t.Errorf("%v", d)
		}
	}
	var defaults manifest.Limits
	for i, limit := range defaults.Each() {
		for amount, want := range map[int64]nacre.Effect{limit.Default: nacre.Allow, limit.Default + 1: nacre.Deny} {
			if d, most := a.Limit(i, amount); d.Effect != want || most != limit.Default || !strings.HasPrefix(d.Subject, limit.Name) {
				t.Errorf("%v, the most %d", d, most)
			}
			if d, _ := new(Authority).Limit(i, amount); d.Effect != nacre.Deny {
				t.Errorf("the zero evaluator: %v", d)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"version: 1\n", "version: 1\nfiles: {roots: [~/a], blocked: [\"*.pem\", a/b], unblocked: [.env]}", "version: 1\nagents: [{lock: a, syscalls: [x]}]",
		"version: 1\ndeny: {files: [~/x, y], network: [\"*\"]}\nlimits: {memory: 1.5GiB, time: 3m}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p", data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if _, err := New(Owner{Home: "/home/u"}, nacre.Subject{Path: "/m"}, p, p, Rules{}); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("a policy that parses does not load: %v", err)
		}
	})
}

func FuzzBlocked(f *testing.F) {
	f.Add("*.pem", "/a/b.pem")
	f.Add("a/b", "/x/A/b")
	f.Add("/x[", "/")
	f.Add(`a\*[x-z]?b`, "A*yÉb")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		b, err := NewBlocked([]string{pattern})
		if err != nil {
			return
		}
		_, whole := b.Match(path)
		_, below := b.Match(path + "/below")
		if whole && !below {
			t.Fatalf("%q blocks %q but not what lies below it", pattern, path)
		}
		if !strings.Contains(pattern+path, "/") && pattern != ".env.*" { // the quick look must not change the answer
			if want, _ := gopath.Match(fold(pattern), fold(path)); whole != want {
				t.Fatalf("%q and %q: %v, want %v", pattern, path, whole, want)
			}
		}
	})
}

// TestOAuthRules: a rule for tokens allows neither another endpoint nor wider
// scopes, nor what they are fetched with to be sent itself; placeholders need none.
func TestOAuthRules(t *testing.T) {
	parse := func(s string) manifest.Named {
		m, err := manifest.Parse("m", []byte("version: 1\nname: a\nsecrets:\n  - "+s+"\n"))
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return manifest.Entries(m.Capabilities, nacre.CapSecrets)[0]
	}
	rule := parse(`{name: login, hosts: [a.test], slot: oauth, token: "https://login.test/token", scopes: [read]}`)
	aws := parse(`{name: aws, hosts: ["*.s3.test"], slot: "sigv4:eu-*/s3"}`)
	place := parse(`{name: place, hosts: ["c.test:443/v1/*"], slot: bearer}`) // what is wider is refused
	for asked, want := range map[string]bool{
		`{name: login, hosts: [a.test], slot: oauth, token: "https://login.test/token", scopes: [read], placeholder: [openai]}`: true,
		`{name: login, hosts: [a.test], slot: oauth, token: "https://login.test/token"}`:                                        false,
		`{name: login, hosts: [a.test], slot: oauth, token: "https://login.test/token", scopes: [read, write]}`:                 false,
		`{name: login, hosts: [a.test], slot: oauth, token: "https://evil.test/token", scopes: [read]}`:                         false,
		`{name: login, hosts: [a.test]}`:                                         false,
		`{name: login, hosts: [a.test], slot: basic}`:                            false,
		`{name: aws, hosts: [x.s3.test], slot: "sigv4:eu-west-1/s3"}`:            true,
		`{name: aws, hosts: ["x.s3.test:443/b/**"], slot: "sigv4:eu-west-1/s3"}`: true,
		`{name: place, hosts: ["c.test:443/v1/*"], slot: bearer}`:                true,
		`{name: place, hosts: ["c.test:443/v1/x"], slot: bearer}`:                true,
		`{name: place, hosts: [c.test], slot: bearer}`:                           false,
		`{name: place, hosts: ["c.test/v1/*"], slot: bearer}`:                    false,
		`{name: place, hosts: ["c.test:443"], slot: bearer}`:                     false,
		`{name: place, hosts: ["c.test:444/v1/*"], slot: bearer}`:                false,
		`{name: place, hosts: ["c.test:443/v1/**"], slot: bearer}`:               false,
		`{name: place, hosts: ["c.test:443/v1/x", c.test], slot: bearer}`:        false,
		`{name: aws, hosts: [x.s3.test], slot: "sigv4:*/s3"}`:                    false,
		`{name: aws, hosts: [x.s3.test], slot: "sigv4:us-east-1/s3"}`:            false,
		`{name: aws, hosts: [x.s3.test], slot: "sigv4:eu-west-1/iam"}`:           false,
		`{name: aws, hosts: [x.s3.test], slot: "header:x", placeholder: [aws]}`:  false,
	} {
		if got := rule.Covers(parse(asked)) || aws.Covers(parse(asked)) || place.Covers(parse(asked)); got != want {
			t.Errorf("%s: %v", asked, got)
		}
	}
	for _, s := range []string{`{name: x, hosts: [a.test], slot: oauth}`, `{name: x, hosts: [a.test], token: "https://a.test/"}`, `{name: x, hosts: [a.test], scopes: [a]}`,
		`{name: x, reveal: true, placeholder: [aws]}`, `{name: x, hosts: [a.test], slot: "sigv4:eu-west-1"}`, `{name: x, hosts: [a.test], placeholder: ["A=short***"]}`,
		`{name: x, hosts: [a.test], slot: oauth, token: "https://*.test/token"}`, `{name: x, hosts: [a.test], slot: oauth, token: "https://u:p@a.test/token"}`} {
		if _, err := manifest.Parse("m", []byte("version: 1\nname: a\nsecrets:\n  - "+s+"\n")); err == nil {
			t.Errorf("%s parses", s)
		}
	}
}
