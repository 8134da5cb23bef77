package preset_test

import (
	"fmt"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/egress"
	"nacre/egress/intent"
	"nacre/fault"
	"nacre/manifest"
	"nacre/policy"
	"nacre/preset"
)

func compiled(t *testing.T, ask, allow string) (nacre.Plan, error) {
	t.Helper()
	m, err := manifest.Parse("agent.yaml", []byte("version: 1\nname: a\ncommand: [x]\n"+ask))
	if err == nil {
		err = preset.Manifest(m)
	}
	if err != nil {
		return nacre.Plan{}, err
	}
	p, err := policy.Parse("policy.yaml", []byte("version: 1\n"+allow))
	if err == nil {
		err = preset.Policy(p)
	}
	if err != nil {
		return nacre.Plan{}, err
	}
	return compile.Compile(compile.Input{Manifest: m, Policy: p, Owner: compile.Owner{Home: "/home/u", Cwd: "/home/u"}})
}

// TestPresets: each can be asked for and allowed, says what it is, and what
// fetches packages only reads.
func TestPresets(t *testing.T) {
	writes := "github gitlab codeberg anthropic openai gemini"
	if len(preset.Names()) < 10 {
		t.Errorf("only %v", preset.Names())
	}
	for _, name := range preset.Names() {
		line := "network: [{preset: " + name + "}]"
		p, err := compiled(t, line, line)
		if err != nil || len(p.Network) == 0 || !strings.HasPrefix(preset.Text(name), "# ") {
			t.Errorf("%s: %v", name, err)
		}
		if text := fmt.Sprint(p.Network); strings.Contains(text, "POST") && !strings.Contains(writes, name) || strings.Contains(text, "*.") || strings.Contains(text, "PUSH") {
			t.Errorf("%s grants %s", name, text)
		}
		if _, err := compiled(t, line, ""); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s without a policy: %v", name, err)
		}
	}
}

func TestNarrowed(t *testing.T) {
	ask := `network: [{preset: github, paths: [/acme/site/**], push: ["refs/heads/agent/*"]}]`
	if _, err := compiled(t, ask, "network: [{preset: github}]"); fault.KindOf(err) != fault.Denied {
		t.Errorf("a push that the policy does not allow: %v", err)
	}
	if _, err := compiled(t, ask, `network: [{preset: github, push: ["refs/heads/other/*"]}]`); fault.KindOf(err) != fault.Denied {
		t.Errorf("a push to other refs: %v", err)
	}
	p, err := compiled(t, ask, `agents: [{digest: "sha256:`+strings.Repeat("0", 64)+`"}]`+"\n"+`network: [{preset: github, push: ["refs/heads/*"], rate: 5}]`)
	if err != nil || len(p.Network) != 1 || p.Network[0].Rate != 5 {
		t.Fatalf("%v %+v", err, p.Network)
	}
	for ask, want := range map[string]nacre.Effect{"FETCH https://github.com/acme/site/info/refs": nacre.Allow, "FETCH https://github.com/acme/other/info/refs": nacre.Deny,
		"GET https://github.com/acme/site/x": nacre.Deny} {
		i, err := intent.Parse(ask)
		if d, _ := (egress.Rules{Grants: p.Network}).Decide(i); err != nil || d.Effect != want {
			t.Errorf("%s: %v", ask, d)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, ask := range []string{"{preset: nmp}", "{preset: ../preset}", "{preset: npm, host: a.b}", "{preset: npm, access: write}", "{preset: npm, methods: [POST]}", "{preset: npm, ports: [22]}", "{}",
		"{host: a.b, access: git, tls: opaque}", "{host: a.b, push: [refs/heads/x]}", "{host: a.b, access: git, push: [main]}", "{host: a.b, methods: [PUSH]}"} {
		if _, err := compiled(t, "network: ["+ask+"]", ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", ask, err)
		}
	}
	if preset.Text("../preset") != "" || preset.Text("nmp") != "" {
		t.Error("a file that is no preset")
	}
}
