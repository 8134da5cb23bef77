package compile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/grant"
	"nacre/manifest"
	"nacre/policy"
	"nacre/remedy"
	"nacre/strict"
)

var update = flag.Bool("update", false, "write the golden files")

func owner() compile.Owner {
	return compile.Owner{Home: "/home/u", Cwd: "/home/u/projects", Environment: map[string]string{"TERM": "xterm", "TZ": "Europe/Berlin", "SECRET": "s"},
		Policies: []string{"/home/u/.config/nacre/policy.yaml"}, Own: []string{"/home/u/.local/state/nacre", "/usr/local/bin/nacre"},
		Groups: map[string]string{"debug": "processes may trace each other", "nested-sandbox": "mounts in namespaces"}}
}

func agent(t testing.TB, text string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse("agent.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func rules(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func full(t testing.TB) compile.Input {
	return compile.Input{Manifest: agent(t, file(t, "agent.yaml")), Subject: nacre.Subject{Path: "/home/u/agents/coder/agent.yaml", Digest: "sha256:00"},
		Policy: rules(t, strings.TrimPrefix(file(t, "policy.yaml"), "version: 1\n")), Owner: owner()}
}

func whole(t testing.TB, in grant.Input) compile.Input {
	t.Helper()
	all, err := in.Whole()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGolden(t *testing.T) {
	command := grant.Input{Input: compile.Input{Owner: owner()}, Command: []string{"true"}}
	granted := command
	granted.Files = []manifest.File{{Path: ".", Access: nacre.Write, Origin: nacre.Origin{File: nacre.OriginCommandLine}}}
	granted.Environment = map[string]manifest.Variable{"TERM": {From: "owner"}, "X": {Value: "1"}}
	granted.Accept = []nacre.Tier{nacre.TierNoLandlock}
	for name, in := range map[string]compile.Input{"full": full(t), "command": whole(t, command), "granted": whole(t, granted)} {
		t.Run(name, func(t *testing.T) {
			p, err := compile.Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := file(t, name+".golden"); want != string(got)+"\n" {
				t.Errorf("the plan is not %s; after a look at the difference: go test ./compile -update\n%s", path, got)
			}
			for range 20 {
				if again, err := compile.Compile(in); err != nil || !reflect.DeepEqual(again, p) {
					t.Fatal("compiled twice, found two plans")
				}
			}
			var back nacre.Plan
			decoder := json.NewDecoder(bytes.NewReader(got))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&back); err != nil || compile.Digest(back) != p.Digest || back.Digest != p.Digest {
				t.Errorf("the digest does not survive JSON: %v", err)
			}
			back.Loopback = !back.Loopback
			if compile.Digest(back) == p.Digest {
				t.Error("the digest does not cover the plan")
			}
		})
	}
}

func TestCompileLeavesItsInputAlone(t *testing.T) {
	in, same := full(t), full(t)
	if _, err := compile.Compile(in); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, same) {
		t.Error("Compile changed its input")
	}
}

// One line of the manifest, and what the policy must hold.
func TestAllowedAndDenied(t *testing.T) {
	for _, c := range []struct {
		name, declare, policy, ceiling string
		denied                         string // part of the refusal; empty: allowed
	}{
		{"nothing asked", "", "", "", ""},
		{"no rule", "files: [~/projects/a]", "", "", "no rule of the policy"},
		{"empty list", "files: [~/projects/a]", "files: {roots: []}", "", "no rule of the policy"},
		{"root", "files: [~/projects/a]", "files: {roots: [~/projects]}", "", ""},
		{"root itself", "files: [~/projects]", "files: {roots: [~/projects/]}", "", ""},
		{"beside the root", "files: [~/projects2]", "files: {roots: [~/projects]}", "", "no rule"},
		{"above the root", "files: [~/projects]", "files: {roots: [~/projects/a]}", "", "no rule"},
		{"out by dots", "files: [~/projects/../other]", "files: {roots: [~/projects]}", "", "/home/u/other"},
		{"write to a read root", "files: [{path: ~/projects/a, access: write}]", "files: {roots: [~/projects]}", "", "is at most read"},
		{"a narrower root allows less", "files: [{path: ~/p/a/b, access: write}]", "files: {roots: [{path: ~/p, access: write}, ~/p/a]}", "", "at most read"},
		{"a root below allows less", "files: [{path: ~/p, access: write}]", "files: {roots: [{path: ~/p, access: write}, ~/p/a]}", "", "below it is at most read"},
		{"blocked name", "files: [~/.ssh]", "files: {roots: [~/.ssh]}", "", "blocked"},
		{"blocked name, other case", "files: [~/projects/.SSH/x]", "files: {roots: [~/projects]}", "", "blocked"},
		{"unblocked", "files: [~/projects/.env]", "files: {roots: [~/projects], unblocked: [.env]}", "", ""},
		{"unblocked, but the ceiling blocks", "files: [~/projects/.env]", "files: {roots: [~/projects], unblocked: [.env]}", "files: {roots: [~/projects]}", "blocked"},
		{"unblocked, but blocked again", "files: [~/projects/.env]", "files: {roots: [~/projects], unblocked: [.env], blocked: [.env]}", "", "blocked"},
		{"denied path", "files: [~/projects/a/b]", "files: {roots: [~/projects]}\ndeny: {files: [~/projects/a]}", "", "blocked"},
		{"ceiling without it", "files: [~/projects]", "files: {roots: [~/projects]}", "version_: 0", "no rule of the ceiling"},
		{"ceiling with it", "files: [~/projects]", "files: {roots: [~/projects]}", "files: {roots: [/home]}", ""},
		{"ceiling read only", "files: [{path: ~/projects, access: write}]", "files: {roots: [{path: ~/projects, access: write}]}", "files: {roots: [/home]}", "at most read"},
		{"root of all", "files: [{path: /, at: /work/x}]", "files: {roots: [/]}", "", "never"},
		{"proc", "files: [{path: /proc/self, at: /work/x}]", "files: {roots: [/]}", "", "never"},
		{"etc whole", "files: [{path: /etc, at: /work/x}]", "files: {roots: [/etc]}", "", "never"},
		{"etc part", "files: [{path: /etc/x, at: /work/x}]", "files: {roots: [/etc]}", "", ""},
		{"shadow", "files: [{path: /etc/shadow, at: /work/x}]", "files: {roots: [/etc]}", "", "blocked"},
		{"run", "files: [{path: /var/run/docker, at: /work/x}]", "files: {roots: [/var]}", "", "never"},
		{"the policy's folder", "files: [~/.config]", "files: {roots: [~/.config]}", "", "holds the policy"},
		{"home whole", "files: [{path: ~/, at: /work/x}]", "files: {roots: [~/]}", "", "holds the policy"},
		{"own state, write", "files: [{path: ~/.local, access: write}]", "files: {roots: [{path: ~/.local, access: write}]}", "", "Nacre's own"},
		{"own state, read: masked", "files: [~/.local]", "files: {roots: [~/.local]}", "", ""},
		{"own state itself", "files: [~/.local/state/nacre]", "files: {roots: [~/.local]}", "", "blocked"},
		{"preset", "files: [{preset: nvm}]", "", "", "preset nvm"},
		{"preset's place by its path", "files: [~/.nvm/versions]", "files: {presets: [nvm]}", "", ""},
		{"preset's place, to write", "files: [{path: ~/.nvm, access: write}]", "files: {presets: [nvm]}", "", "no rule"},
		{"beside a preset's place", "files: [~/.nvmrc]", "files: {presets: [nvm]}", "", "no rule"},
		{"write around a preset", "files: [{path: ~/go, access: write}]", "files: {roots: [{path: ~/go, access: write}], presets: [go]}", "", ""},
		{"write in a preset's place", "files: [{path: ~/go/bin, access: write}]", "files: {roots: [{path: ~/go, access: write}], presets: [go]}", "", ""},
		{"preset by a root", "files: [{preset: nvm}]", "files: {roots: [~/.nvm]}", "", ""},
		{"preset in part", "files: [{preset: node}]", "files: {roots: [~/.nvm]}", "", "preset node"},
		{"preset, blocked", "files: [{preset: nvm}]", "files: {presets: [nvm], blocked: [.nvm]}", "", "blocked"},
		{"preset, ceiling's root", "files: [{preset: nvm}]", "files: {presets: [nvm]}", "files: {roots: [/home]}", ""},
		{"secret by a pattern around a denied one", "secrets: [{name: \"a*\", hosts: [a.io]}]", "secrets: [{name: \"*\", hosts: [a.io]}]\ndeny: {secrets: [abc]}", "", "denies it"},
		{"preset allowed", "files: [{preset: nvm}]", "files: {presets: [nvm]}", "", ""},
		{"preset, ceiling", "files: [{preset: nvm}]", "files: {presets: [nvm]}", "environment: []", "ceiling"},
		{"own variable", "environment: {TERM: {from: owner}}", "", "", "environment TERM"},
		{"own variable allowed", "environment: {TERM: {from: owner}}", "environment: [TERM]", "", ""},
		{"own variable denied", "environment: {TERM: {from: owner}}", "environment: [\"*\"]\ndeny: {environment: [TE*]}", "", "denies it"},
		{"fixed variable", "environment: {LD_PRELOAD: /x.so}", "", "", ""},
		{"network", "network: [a.example.com]", "", "", "network https://a.example.com"},
		{"network allowed", "network: [a.example.com]", "network: [a.example.com]", "", ""},
		{"network wildcard", "network: [a.example.com]", "network: [\"*.example.com\"]", "", ""},
		{"network two labels", "network: [a.b.example.com]", "network: [\"*.example.com\"]", "", "network"},
		{"network the domain itself", "network: [example.com]", "network: [\"*.example.com\"]", "", "network"},
		{"network asks wider", "network: [\"*.example.com\"]", "network: [a.example.com]", "", "network"},
		{"network suffix", "network: [evilexample.com]", "network: [\"*.example.com\", example.com]", "", "network"},
		{"network port", "network: [{host: a.io, ports: [443, 8443]}]", "network: [a.io]", "", "network"},
		{"network scheme", "network: [{host: a.io, scheme: tcp, ports: [443]}]", "network: [a.io]", "", "network"},
		{"network method", "network: [{host: a.io, access: write}]", "network: [a.io]", "", "network"},
		{"network path", "network: [{host: a.io, paths: [/b]}]", "network: [{host: a.io, paths: [/a/**]}]", "", "network"},
		{"network path within", "network: [{host: a.io, paths: [/a/*/c, /a/b/**]}]", "network: [{host: a.io, paths: [/a/**]}]", "", ""},
		{"network path wider", "network: [{host: a.io, paths: [/a/**]}]", "network: [{host: a.io, paths: [/a/*]}]", "", "network"},
		{"network denied", "network: [a.b.io]", "network: [a.b.io]\ndeny: {network: [\"*.io\"]}", "", "denies it"},
		{"network denied within a wildcard", "network: [\"*.b.io\"]", "network: [\"*.b.io\"]\ndeny: {network: [x.b.io]}", "", "denies it"},
		{"network denied elsewhere", "network: [a.b.io]", "network: [a.b.io]\ndeny: {network: [{host: a.b.io, ports: [80]}]}", "", ""},
		{"network denied by the ceiling", "network: [a.b.io]", "network: [a.b.io]", "network: [a.b.io]\ndeny: {network: [\"*\"]}", "the ceiling denies"},
		{"secret", "secrets: [{name: x, hosts: [a.io]}]", "secrets: [{name: x, hosts: [b.io]}]", "", "secrets x"},
		{"secret revealed", "secrets: [{name: x, reveal: true}]", "secrets: [{name: x, hosts: [a.io]}]", "", "secrets x"},
		{"secret slot", "secrets: [{name: x, hosts: [a.io], slot: \"query:k\"}]", "secrets: [{name: x, hosts: [a.io]}]", "", "secrets x"},
		{"model", "models: [{provider: p, models: [m]}]", "models: [{provider: p, models: [\"m*\"], tokens: 5}]", "", ""},
		{"model over budget", "models: [{provider: p, models: [m], tokens: 6}]", "models: [{provider: p, models: [m], tokens: 5}]", "", "models p"},
		{"tool", "tools: [{server: s, tools: [a, b]}]", "tools: [{server: s, tools: [a]}]", "", "tools s"},
		{"tool at its place", "tools: [{server: s, url: https://a.io/mcp, tools: [a]}]", "tools: [{server: s, url: https://a.io/mcp, tools: [\"*\"]}]", "", ""},
		{"tool elsewhere", "tools: [{server: s, url: https://b.io/mcp, tools: [a]}]", "tools: [{server: s, url: https://a.io/mcp, tools: [\"*\"]}]", "", "tools s"},
		{"tool anywhere", "tools: [{server: s, url: https://b.io/mcp, tools: [a]}]", "tools: [{server: s, tools: [\"*\"]}]", "", "tools s"},
		{"tool at a denied host", "tools: [{server: s, url: https://b.a.io/mcp, tools: [a]}]", "tools: [{server: s, url: https://b.a.io/mcp, tools: [a]}]\ndeny: {network: [\"*.a.io\"]}", "", "denies it"},
		{"tool at a denied port", "tools: [{server: s, url: \"https://a.io:8443/mcp\", tools: [a]}]", "tools: [{server: s, url: \"https://a.io:8443/mcp\", tools: [a]}]\ndeny: {network: [{host: a.io, ports: [8443]}]}", "", "denies it"},
		{"tool beside a denied port", "tools: [{server: s, url: https://a.io/mcp, tools: [a]}]", "tools: [{server: s, url: https://a.io/mcp, tools: [a]}]\ndeny: {network: [{host: a.io, ports: [8443]}]}", "", ""},
		{"tool denied", "tools: [{server: s, url: https://a.io/mcp, tools: [a]}]", "tools: [{server: s, url: https://a.io/mcp, tools: [a]}]\ndeny: {tools: [s]}", "", "denies it"},
		{"tool with conditions", "tools: [{server: s, tools: [a], arguments: [x=1]}]", "tools: [{server: s, tools: [a], arguments: [y=2]}]", "", ""},
		{"message", "messages: [{with: f, access: [send]}]", "messages: [{with: f, access: [receive]}]", "", "messages f"},
		{"schedule", "schedule: [{name: n, when: [\"0 7 * * *\"]}]", "schedule: [{name: n, when: [\"0 8 * * *\"]}]", "", "schedule n"},
		{"device", "devices: [kvm]", "devices: [dri]", "", "devices kvm"},
		{"syscalls", "syscalls: [debug]", "", "", "syscalls debug"},
		{"syscalls allowed", "syscalls: [debug]", "syscalls: [debug]", "", ""},
		{"syscalls denied", "syscalls: [debug]", "syscalls: [debug]\ndeny: {syscalls: [debug]}", "", "denies it"},
		{"limit over the default", "limits: {memory: 3GiB}", "", "", "the most is 2GiB"},
		{"limit allowed", "limits: {memory: 3GiB}", "limits: {memory: 3GiB}", "", ""},
		{"limit over the ceiling", "limits: {memory: 3GiB}", "limits: {memory: 3GiB}", "limits: {memory: 2.5GiB}", "the most is 2560MiB"},
		{"limit under a ceiling that says nothing", "limits: {memory: 3GiB}", "limits: {memory: 3GiB}", "environment: []", "the most is 2GiB"},
		{"time", "limits: {time: 2h}", "", "", "the most is 1h0m0s"},
		{"image", "image: directory:~/root", "", "", "image directory:/home/u/root"},
		{"image allowed", "image: directory:~/root", "images: [\"directory:/home/u/*\"]", "", ""},
		{"image in a blocked place", "image: archive:~/.ssh/x.tar", "images: [\"*\"]", "", "blocked"},
		{"image the whole host", "image: directory:/", "images: [\"*\"]", "", "never"},
		{"image denied", "image: layout:~/x", "images: [\"*\"]\ndeny: {images: [\"layout:*\"]}", "", "denies it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := compile.Input{Manifest: agent(t, "version: 1\nname: a\ncommand: [x]\n"+c.declare), Subject: nacre.Subject{Path: "/home/u/a/agent.yaml"},
				Policy: rules(t, c.policy), Owner: owner()}
			if c.policy == "" {
				in.Policy = nil
			}
			if c.ceiling == "version_: 0" {
				in.Ceiling = &policy.Policy{}
			} else if c.ceiling != "" {
				in.Ceiling = rules(t, c.ceiling)
			}
			_, err := remedy.Compile(in)
			if c.denied == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), c.denied) {
				t.Fatalf("got %v, want a denial with %q", err, c.denied)
			}
			remedied(t, in, err)
		})
	}
}

// remedied checks that the lines which a refusal prints do allow it.
func remedied(t *testing.T, in compile.Input, err error) {
	t.Helper()
	var refusal *compile.Refusal
	if !errors.As(err, &refusal) {
		t.Fatal("a denial without decisions")
	}
	for _, d := range refusal.Decisions {
		if !remedy.IsLine(d.Remedy) || strings.Contains(d.Reason, "at most") {
			continue // nothing would allow it, or a present line must change
		}
		if !strings.Contains(fault.HintOf(err), d.Remedy) {
			t.Errorf("the hint lacks %q", d.Remedy)
		}
		in.Policy, in.Ceiling = rules(t, strings.TrimSpace(d.Remedy)), nil
		if _, err := compile.Compile(in); err != nil && !strings.Contains(d.Rule, "blocked") {
			t.Errorf("with %s: %v", d.Remedy, err)
		}
	}
}

func TestEverythingDeniedIsNamed(t *testing.T) {
	in := full(t)
	in.Policy = nil
	_, err := remedy.Compile(in)
	var refusal *compile.Refusal
	if !errors.As(err, &refusal) || fault.KindOf(err) != fault.Denied {
		t.Fatal(err)
	}
	var all string
	for _, d := range refusal.Decisions {
		if d.Effect != nacre.Deny || d.Remedy == "" || !strings.Contains(fault.HintOf(err), d.Remedy) {
			t.Errorf("%v: not named with its remedy", d)
		}
		all += d.Remedy + "\n"
	}
	if len(refusal.Decisions) != 17 {
		t.Errorf("%d denials, want 17:\n%s", len(refusal.Decisions), all)
	}
}

func TestInvalid(t *testing.T) {
	for name, c := range map[string]struct{ declare, want string }{
		"inside twice":       {"files: [~/projects/a, {path: ~/other/b, at: /work/a}]", "would lie in one another"},
		"inside nested":      {"files: [~/projects/a, {path: ~/projects/b, at: /work/a/b}]", "would lie in one another"},
		"inside /etc":        {"files: [{path: ~/projects/a, at: /etc/x}]", "belongs to the sandbox"},
		"inside /lib64":      {"files: [{path: ~/projects/a, at: /lib64}]", "belongs to the sandbox"},
		"inside home itself": {"files: [{path: ~/projects/a, at: /home/agent/}]", "belongs to the sandbox"},
		"inside by dots":     {"files: [{path: ~/projects/a, at: /work/../proc/x}]", "belongs to the sandbox"},
		"inside relative":    {"files: [{path: ~/projects/a, at: work}]", "absolute"},
		"another's home":     {"files: [~root/x]", "only the owner's own home"},
		"long path":          {"files: [/" + strings.Repeat("abcdefgh/", 512) + "]", "4095"},
		"long name":          {"files: [/" + strings.Repeat("a", 256) + "]", "255"},
		"NUL":                {`files: ["/a\0b"]`, "expected a path"},
		"unknown group":      {"syscalls: [debgu]", "no group"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "version: 1\nname: a\n" + c.declare
			if !strings.Contains(c.declare, "command") {
				text += "\ncommand: [x]"
			}
			_, err := compile.Compile(compile.Input{Manifest: agent(t, text), Subject: nacre.Subject{Path: "/home/u/agent.yaml"},
				Policy: rules(t, "files: {roots: [{path: /home, access: write}]}\nsyscalls: [\"*\"]"), Owner: owner()})
			if fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for _, dir := range []string{"work", "~/work", "/a\x00b"} { // from the command line
		in := compile.Input{Manifest: &manifest.Manifest{Name: "a", Command: []string{"x"}, Workdir: dir}, Owner: owner()}
		if _, err := compile.Compile(in); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("workdir %q: %v", dir, err)
		}
	}
	for _, name := range []string{"", "A_b", "-a", "a-", "a.b", "a\n", strings.Repeat("a", 64)} {
		in := compile.Input{Manifest: &manifest.Manifest{Name: name, Command: []string{"x"}}, Owner: owner()}
		if _, err := compile.Compile(in); fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), "at most 63") {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, image := range []string{"alpine", "vm:/x", "directory:", "layout:~bob/x"} {
		in := compile.Input{Manifest: &manifest.Manifest{Name: "a", Command: []string{"x"}, Image: strict.Text{Value: image}}, Owner: owner()}
		in.Policy = rules(t, "images: [\"*\"]")
		if _, err := compile.Compile(in); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("image %q: %v", image, err)
		}
	}
	for _, command := range [][]string{nil, {""}, {"a\x00"}, {"a", "b\x00"}} {
		in := compile.Input{Manifest: &manifest.Manifest{Name: "a", Command: command}, Owner: owner()}
		if _, err := compile.Compile(in); fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), "command: expected a program") {
			t.Errorf("command %q: %v", command, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	base := grant.Input{Command: []string{"x"}, Input: compile.Input{Owner: owner()}, Files: []manifest.File{{Path: ".ssh", Access: nacre.Read}}}
	if _, err := grant.Compile(base); err == nil || !strings.Contains(err.Error(), "blocked") {
		t.Errorf("a blocked name on the command line: %v", err)
	}
	base.Files = []manifest.File{{Path: "site", Access: nacre.Write}}
	base.Ceiling = &policy.Policy{}
	if _, err := grant.Compile(base); err == nil || !strings.Contains(err.Error(), "ceiling") {
		t.Errorf("the command line against the ceiling: %v", err)
	}
	base.Ceiling = nil
	base.Policy = rules(t, "deny: {files: [~/projects/site], environment: [TERM]}")
	if _, err := grant.Compile(base); err == nil || !strings.Contains(err.Error(), "blocked") {
		t.Errorf("the command line against a denial: %v", err)
	}
	base.Policy = nil
	if err := grant.ParseLimit(&base.Limits, "memory=9GiB"); err != nil {
		t.Fatal(err)
	}
	p, err := grant.Compile(base)
	if err != nil || p.Limits.Memory != 9<<30 || p.Workdir != "/work/site" || p.Files[0].Host != "/home/u/projects/site" {
		t.Errorf("%v %+v", err, p)
	}
	base.Owner.PlainFiles = []string{"/home/u/projects/site"}
	if p, err := grant.Compile(base); err != nil || p.Workdir != compile.Home {
		t.Errorf("a file as workdir: %v %s", err, p.Workdir)
	}
}

func TestVariablesOfTheCommandLine(t *testing.T) {
	for _, name := range []string{"*", "HOME", "A=B", ""} {
		for _, value := range []string{"v", ""} {
			in := grant.Input{Command: []string{"x"}, Input: compile.Input{Owner: owner()}, Environment: map[string]manifest.Variable{name: {Value: value}}}
			if _, err := grant.Compile(in); fault.KindOf(err) != fault.Invalid || err == nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	in := grant.Input{Command: []string{"x"}, Input: compile.Input{Owner: owner()}, Environment: map[string]manifest.Variable{"TZ": {From: "owner"}}}
	in.Owner.Environment["TZ"] = "a\x00b"
	if _, err := grant.Compile(in); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("an owner's value with NUL: %v", err)
	}
}

func TestAgentsAreBoundByWhatTheOwnerSees(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	base := compile.Input{Manifest: agent(t, "version: 1\nname: coder\ncommand: [x]\nsyscalls: [debug]"), Subject: nacre.Subject{Path: "/home/u/a/agent.yaml", Digest: digest, Lock: "coder"}, Owner: owner()}
	for rule, want := range map[string]bool{
		"manifest: ~/a/agent.yaml": true, "manifest: ~/a/../a/agent.yaml": true, "manifest: ~/b/agent.yaml": false,
		"digest: " + digest: true, "digest: sha256:" + strings.Repeat("00", 32): false, "lock: coder": true, "lock: other": false,
	} {
		in := base
		in.Policy = rules(t, "agents: [{"+rule+", syscalls: [debug]}]")
		if _, err := compile.Compile(in); (err == nil) != want {
			t.Errorf("%s: %v", rule, err)
		}
	}
	in := base
	in.Subject = nacre.Subject{}
	in.Policy = rules(t, "agents: [{lock: coder, syscalls: [debug]}]")
	if _, err := compile.Compile(in); err == nil {
		t.Error("an agent without a lock entry got the rules of one")
	}
}

func TestManifestInAWritableFolder(t *testing.T) {
	in := compile.Input{Manifest: agent(t, "version: 1\nname: a\ncommand: [x]\nfiles: [{path: ., access: write}]"), Subject: nacre.Subject{Path: "/home/u/a/agent.yaml"},
		Owner: owner(), Policy: rules(t, "files: {roots: [{path: ~/a, access: write}]}")}
	p, err := compile.Compile(in)
	if err != nil || !slices.ContainsFunc(p.Warnings, func(w nacre.Warning) bool { return w.Name == "manifest-writable" }) {
		t.Errorf("%v %v", err, p.Warnings)
	}
	in.Policy = rules(t, "agents: [{manifest: ~/a/agent.yaml, files: {roots: [{path: ~/a, access: write}]}}]")
	if _, err := compile.Compile(in); fault.KindOf(err) != fault.Denied || err == nil {
		t.Errorf("an agent that can rewrite the manifest its rules are bound to: %v", err)
	}
}

// TestConditionsOfAllSides: whoever states a condition of a tool, every call must
// keep to it.
func TestConditionsOfAllSides(t *testing.T) {
	in := compile.Input{Manifest: agent(t, "version: 1\nname: a\ncommand: [a]\ntools: [{server: s, tools: [a], arguments: [mine=1, only]}]"), Owner: owner(),
		Policy:  rules(t, "tools: [{server: s, tools: [a], arguments: [owner=2, only], pins: [a@sha256:"+strings.Repeat("0", 64)+"]}]"),
		Ceiling: rules(t, "tools: [{server: s, tools: [\"*\"], arguments: [top<=3]}]")}
	p, err := compile.Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	d := p.Tools[0].Detail
	if d["arguments"] != "mine=1; only; owner=2; top<=3" || d["pins"] != "a@sha256:"+strings.Repeat("0", 64) {
		t.Errorf("%v", d)
	}
	in.Manifest.Tools[0].Arguments = nil
	if p, err = compile.Compile(in); err != nil || p.Tools[0].Detail["arguments"] != "only; owner=2; top<=3" {
		t.Errorf("%v %v", p.Tools, err)
	}
}

// TestDigestOfBytes: plans that differ only in what is no UTF-8 have digests of their own,
// though they are the same as JSON.
func TestDigestOfBytes(t *testing.T) {
	seen := map[string]string{}
	for _, word := range []string{"a\xff", "a\xfe", "a\ufffd", "a"} {
		digest := compile.Digest(nacre.Plan{Command: []string{word}})
		if other, twice := seen[digest]; twice {
			t.Errorf("%q and %q have the same digest", word, other)
		}
		seen[digest] = word
	}
}
