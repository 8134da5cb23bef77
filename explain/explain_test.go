package explain

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/manifest"
	"nacre/policy"
	"nacre/seccomp"
)

func input(t testing.TB) compile.Input {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile("../compile/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m, err := manifest.Parse("agent.yaml", read("agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse("policy.yaml", read("policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return compile.Input{Manifest: m, Subject: nacre.Subject{Path: "/home/u/agents/coder/agent.yaml"}, Policy: p,
		Owner: compile.Owner{Home: "/home/u", Cwd: "/home/u", Environment: map[string]string{"TERM": "xterm"},
			Groups: map[string]string{"debug": "d", "nested-sandbox": "n"}}}
}

func plan(t testing.TB, in compile.Input) nacre.Plan {
	t.Helper()
	p, err := compile.Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecide(t *testing.T) {
	in := input(t)
	p := plan(t, in)
	syscall := func(name string, groups []string) nacre.Decision {
		d, err := Syscall(seccomp.Options{Arch: "amd64", Groups: groups}, name)
		if err != nil {
			t.Error(err)
		}
		return d
	}
	for _, c := range []struct {
		q    Query
		want bool
		rule string // how it begins
	}{
		{Query{Capability: "files", Subject: "/home/u/projects/site"}, true, "files.1"},
		{Query{Capability: "files", Subject: "/home/u/projects/site/a", Access: nacre.Write}, true, "files.1"},
		{Query{Capability: "files", Subject: "/work/site/a", Access: nacre.Write, Inside: true}, true, "files.1"},
		{Query{Capability: "files", Subject: "/work/site/a"}, false, "default"},
		{Query{Capability: "files", Subject: "/home/u/projects/site2"}, false, "default"},
		{Query{Capability: "files", Subject: "/home/u/projects/site/../x"}, false, "default"},
		{Query{Capability: "files", Subject: "relative"}, false, "default"},
		{Query{Capability: "files", Subject: "/home/u/projects/site/.ssh/id"}, false, "blocked..ssh"},
		{Query{Capability: "files", Subject: "/work/site/x/.SSH", Inside: true}, false, "blocked..ssh"},
		{Query{Capability: "files", Subject: "/work/site/private/x", Inside: true}, false, "blocked./home/u/projects/site/private"},
		{Query{Capability: "files", Subject: "/work/site/.env", Inside: true}, true, "files.1"},
		{Query{Capability: "files", Subject: "/work/site/a.pem", Inside: true}, false, "blocked.*.pem"},
		{Query{Capability: "files", Subject: "/home/u/agents/shared docs/x"}, true, "files.2"},
		{Query{Capability: "files", Subject: "/home/u/agents/shared docs/x", Access: nacre.Write}, false, "files.2"},
		{Query{Capability: "files", Subject: "/tmp/x", Access: nacre.Write}, false, "default"},
		{Query{Capability: "files", Subject: "/etc/passwd", Access: nacre.Write, Inside: true}, false, "default"},
		{Query{Capability: "network", Subject: "GET https://api.example.com/x"}, true, "network.1"},
		{Query{Capability: "network", Subject: "https://api.example.com"}, true, "network.1"},
		{Query{Capability: "network", Subject: "POST https://api.example.com/x"}, false, "network.1"},
		{Query{Capability: "network", Subject: "GET https://api.example.com:8443/x"}, false, "default"},
		{Query{Capability: "network", Subject: "GET http://api.example.com/x"}, false, "default"},
		{Query{Capability: "network", Subject: "GET https://API.example.com./x"}, true, "network.1"},
		{Query{Capability: "network", Subject: "GET https://a.example.org/repos/x/issues"}, true, "network.2"},
		{Query{Capability: "network", Subject: "GET https://a.example.org/repos/x%2fy/issues"}, false, "network.2"},
		{Query{Capability: "network", Subject: "GET https://a.example.org/users/../repos"}, false, "network.2"},
		{Query{Capability: "network", Subject: "GET https://a.example.org//users/x"}, false, "network.2"},
		{Query{Capability: "network", Subject: "GET https://a.b.example.org/users/x"}, false, "default"},
		{Query{Capability: "network", Subject: "GET https://*.example.org/users/x"}, false, "default"},
		{Query{Capability: "network", Subject: "GET https://u:p@api.example.com/x"}, false, "default"},
		{Query{Capability: "network", Subject: "tcp://git.example.com:22"}, true, "network.3"},
		{Query{Capability: "network", Subject: "tcp://git.example.com:23"}, false, "default"},
		{Query{Capability: "network", Subject: "GET https://evil.com/x"}, false, "default"},
		{Query{Capability: "network", Subject: "nonsense"}, false, "default"},
		{Query{Capability: "syscalls", Subject: "debug"}, true, "syscalls.1"},
		{Query{Capability: "syscalls", Subject: "gpu"}, false, "default"},
		{Query{Capability: "syscalls", Subject: "ptrace", Syscall: syscall}, true, "syscalls.1"},
		{Query{Capability: "syscalls", Subject: "read", Syscall: syscall}, true, "syscalls.base"},
		{Query{Capability: "syscalls", Subject: "bpf", Syscall: syscall}, false, "syscalls."},
		{Query{Capability: "syscalls", Subject: "bpf"}, false, "default"},
		{Query{Capability: "limits", Subject: "memory", Value: "4GiB"}, true, "limits.1"},
		{Query{Capability: "limits", Subject: "memory", Value: "4097MiB"}, false, "limits.1"},
		{Query{Capability: "limits", Subject: "memory", Value: "lots"}, false, "default"},
		{Query{Capability: "limits", Subject: "processes", Value: "-1"}, false, "default"},
		{Query{Capability: "limits", Subject: "colour", Value: "1"}, false, "default"},
		{Query{Capability: "environment", Subject: "TERM"}, true, "environment"},
		{Query{Capability: "environment", Subject: "SECRET"}, false, "default"},
		{Query{Capability: "image", Subject: "host"}, true, "image.1"},
		{Query{Capability: "image", Subject: ""}, false, "default"},
		{Query{Capability: "devices", Subject: "dri"}, true, "devices.1"},
		{Query{Capability: "devices", Subject: "kvm"}, false, "default"},
		{Query{Capability: "secrets", Subject: "github-token", Value: "api.example.com"}, true, "secrets.1"},
		{Query{Capability: "secrets", Subject: "github-token", Value: "evil.com"}, false, "default"},
		{Query{Capability: "tools", Subject: "github", Value: "search"}, true, "tools.1"},
		{Query{Capability: "tools", Subject: "github", Value: "delete"}, false, "default"},
		{Query{Capability: "tools", Subject: "github/search"}, true, "tools.1"},
		{Query{Capability: "tools", Subject: "github/search q=x n=5"}, true, "tools.1"},
		{Query{Capability: "tools", Subject: "github/search x"}, false, "default"},
		{Query{Capability: "tools", Subject: "github/delete"}, false, "default"},
		{Query{Capability: "tools", Subject: "other/search"}, false, "default"},
		{Query{Capability: "colours", Subject: "red"}, false, "default"},
		{Query{}, false, "default"},
	} {
		d := Decide(p, c.q)
		if (d.Effect == nacre.Allow) != c.want || !strings.HasPrefix(d.Rule, c.rule) || d.Reason == "" || d.Capability != c.q.Capability {
			t.Errorf("%+v:\n got %v\nwant %v by %s", c.q, d, c.want, c.rule)
		}
	}
	for _, c := range []nacre.Capability{"files", "network", "secrets", "models", "tools", "messages", "schedule", "syscalls", "devices", "limits", "environment", "image"} {
		if d := Decide(nacre.Plan{}, Query{Capability: c, Subject: "/x"}); d.Effect != nacre.Deny {
			t.Errorf("the zero plan: %v", d)
		}
	}
}

// queries asks for everything that a plan grants.
func queries(p nacre.Plan) []Query {
	var all []Query
	for _, g := range p.Files {
		all = append(all, Query{Capability: nacre.CapFiles, Subject: g.Host, Access: g.Access})
	}
	for _, n := range p.Network {
		for _, port := range n.Ports {
			host := strings.Replace(n.Host, "*", "any", 1)
			if n.Scheme == "tcp" {
				all = append(all, Query{Capability: nacre.CapNetwork, Subject: fmt.Sprintf("tcp://%s:%d", host, port)})
			}
			for _, m := range n.Methods {
				for _, path := range n.Paths {
					path = strings.NewReplacer("**", "a/b", "*", "c").Replace(path)
					all = append(all, Query{Capability: nacre.CapNetwork, Subject: fmt.Sprintf("%s %s://%s:%d%s", m, n.Scheme, host, port, path)})
				}
			}
		}
	}
	for _, s := range p.Syscalls {
		all = append(all, Query{Capability: nacre.CapSyscalls, Subject: s.Name})
	}
	for c, list := range compile.Named(&p) {
		for _, g := range *list {
			for item := range strings.SplitSeq(g.Detail[narrowing[c]], manifest.Separator) {
				if g.Detail["reveal"] == "" {
					all = append(all, Query{Capability: c, Subject: g.Name, Value: item})
				}
			}
		}
	}
	for _, l := range amounts(p.Limits).Each() {
		all = append(all, Query{Capability: nacre.CapLimits, Subject: l.Name, Value: l.Format(l.N)})
	}
	return all
}

// What the plan grants, the policy allows; and what neither names, both deny.
func TestPlanAndPolicyAgree(t *testing.T) {
	in := input(t)
	p := plan(t, in)
	asked := queries(p)
	if len(asked) < 30 {
		t.Fatalf("only %d questions", len(asked))
	}
	for _, q := range asked {
		would, err := Would(in, q)
		preset := strings.HasPrefix(q.Subject, "/usr/") || strings.HasPrefix(q.Subject, "/home/u/go") || strings.HasPrefix(q.Subject, "/home/u/sdk")
		if d := Decide(p, q); d.Effect != nacre.Allow || err != nil || would.Effect != nacre.Allow && !preset {
			t.Errorf("%+v:\nplan: %v\npolicy: %v, %v", q, d, would, err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string { return fmt.Sprintf("x%x", random.Uint32()) }
	for range 60 {
		for _, q := range []Query{
			{Capability: nacre.CapFiles, Subject: "/" + word() + "/home/u/projects/site", Access: nacre.Access(random.IntN(4))},
			{Capability: nacre.CapFiles, Subject: "/home/u/" + word()}, {Capability: nacre.CapFiles, Subject: "/home/u/projects/" + word() + "/.ssh"},
			{Capability: nacre.CapNetwork, Subject: "GET https://" + word() + ".net/"}, {Capability: nacre.CapNetwork, Subject: "TRACE https://api.example.com/" + word()},
			{Capability: nacre.CapSyscalls, Subject: word()}, {Capability: nacre.CapEnvironment, Subject: word()}, {Capability: nacre.CapDevices, Subject: word()},
			{Capability: nacre.CapSecrets, Subject: word()}, {Capability: nacre.CapTools, Subject: word(), Value: "search"},
			{Capability: nacre.CapLimits, Subject: "memory", Value: fmt.Sprint(9<<30 + random.IntN(1000))}, {Capability: nacre.CapImage, Subject: "oci:" + word()},
		} {
			would, err := Would(in, q)
			if d := Decide(p, q); d.Effect != nacre.Deny || err != nil || would.Effect != nacre.Deny {
				t.Fatalf("%+v:\nplan: %v\npolicy: %v, %v", q, d, would, err)
			}
		}
	}
}

func TestWouldSaysTheLine(t *testing.T) {
	in := input(t)
	in.Policy = nil
	for _, q := range []Query{{Capability: nacre.CapFiles, Subject: "/home/u/a b", Access: nacre.Write}, {Capability: nacre.CapNetwork, Subject: "PUT https://a.io/b"},
		{Capability: nacre.CapSyscalls, Subject: "debug"}, {Capability: nacre.CapEnvironment, Subject: "TERM"}, {Capability: nacre.CapLimits, Subject: "cpus", Value: "64"}} {
		d, err := Would(in, q)
		if err != nil || d.Effect != nacre.Deny || d.Remedy == "" {
			t.Fatalf("%v, %v", d, err)
		}
		with := in
		if with.Policy, err = policy.Parse("p", []byte("version: 1\n"+d.Remedy)); err != nil {
			t.Fatalf("%s: %v", d.Remedy, err)
		}
		if d, err := Would(with, q); err != nil || d.Effect != nacre.Allow {
			t.Errorf("%v, %v", d, err)
		}
	}
}

func TestDiff(t *testing.T) {
	in := input(t)
	old := plan(t, in)
	if changes := Diff(old, old); len(changes) != 0 {
		t.Errorf("%v", changes)
	}
	in.Manifest.Files[0].Access = nacre.Read
	in.Manifest.Files = append(in.Manifest.Files, manifest.File{Path: "~/projects/b", Access: nacre.Read})
	in.Manifest.Limits.Memory.N = 5 << 30
	in.Manifest.Limits.CPUs.N = 1000
	in.Manifest.Syscalls = in.Manifest.Syscalls[:1]
	in.Manifest.Tools = nil
	in.Manifest.Loopback = false
	in.Policy.Files.Unblocked[0].Value = ".ssh"
	want := []string{
		"+ files read /home/u/projects/b at /work/b", "+ files see what is named .ssh",
		"− files see what is named .env", "− files write /home/u/projects/site at /work/site",
		"+ limits memory 5GiB (was 4GiB)", "− limits cpus 1 (was 1.5)", "− network the sandbox's own loopback", "− syscalls nested-sandbox", "− tools github tools=search",
	}
	changed := plan(t, in)
	var got []string
	for _, c := range Diff(old, changed) {
		got = append(got, c.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	back := Diff(changed, old)
	for i, c := range back {
		if len(back) != len(want) || c.Capability != nacre.CapLimits && !slices.Contains(want, map[bool]string{true: "− ", false: "+ "}[c.Added]+string(c.Capability)+" "+c.Summary) {
			t.Errorf("back %d: %v", i, c)
		}
	}
}

// TestDiffOfFiles: less access, a narrower folder and another place inside add nothing;
// what is wider does.
func TestDiffOfFiles(t *testing.T) {
	of := func(grants ...nacre.FileGrant) nacre.Plan {
		for i, g := range grants {
			grants[i].Summary = g.Access.String() + " " + g.Host
		}
		return nacre.Plan{Files: grants}
	}
	one := func(host, inside string, a nacre.Access) nacre.FileGrant {
		return nacre.FileGrant{Host: host, Inside: inside, Access: a}
	}
	for _, c := range []struct {
		old, new nacre.Plan
		want     string
	}{
		{of(one("/a", "/work/a", nacre.Write)), of(one("/a", "/work/a", nacre.Read)), "[− files write /a]"},
		{of(one("/a", "/work/a", nacre.Read)), of(one("/a", "/work/a", nacre.Write)), "[+ files write /a]"},
		{of(one("/a", "/work/a", nacre.Write)), of(one("/a/b", "/work/b", nacre.Write)), "[− files write /a]"},
		{of(one("/a/b", "/work/b", nacre.Write)), of(one("/a", "/work/a", nacre.Write)), "[+ files write /a]"},
		{of(one("/a", "/work/a", nacre.Read)), of(one("/a", "/work/x", nacre.Read)), "[]"},
		{of(one("/a", "/work/a", nacre.Write)), of(one("/a", "/work/a", nacre.Read), one("/a/b", "/work/b", nacre.Write)), "[− files write /a]"},
		{of(one("/a", "/work/a", nacre.Read)), of(one("/ab", "/work/ab", nacre.Read)), "[+ files read /ab − files read /a]"},
	} {
		if got := fmt.Sprint(Diff(c.old, c.new)); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.old.Files, c.new.Files, got, c.want)
		}
	}
}

// TestDiffOfMasks: a mask that is gone is more authority only where there is a folder to
// see it in.
func TestDiffOfMasks(t *testing.T) {
	for pattern, seen := range map[string]bool{".env": true, "a/b": true, "/home/u/a/b": true, "/home/u/a/[^x]*": true, "/home/u/a/x/[^x]*": true, "/home/*/a/x": true,
		"/home/u/[^x]*": false, "/home/u/a": false, "/home/u/ab/x": false, "/srv/*/x": false, "": true} {
		p := nacre.Plan{Files: []nacre.FileGrant{{Host: "/home/u/a"}}}
		old := p
		old.Blocked = []string{pattern}
		if changes := Diff(old, p); (len(changes) > 0) != seen {
			t.Errorf("%q: %v", pattern, changes)
		}
	}
}
