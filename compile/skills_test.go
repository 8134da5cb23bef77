package compile_test

import (
	"slices"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/policy"
)

// TestSkills: a skill is there if the agent asks for it, the owner has it, and
// all sides allow it; read-only, where agents look.
func TestSkills(t *testing.T) {
	const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for name, c := range map[string]struct {
		asked, rules, ceiling string
		lock                  string
		want                  fault.Kind // Internal: granted
	}{
		"allowed":               {"skills: [greet]", "skills: [greet]", "", "", fault.Internal},
		"allowed by a pattern":  {"skills: [greet]", "skills: [\"gr*\"]", "", "", fault.Internal},
		"not allowed":           {"skills: [greet]", "environment: [TERM]", "", "", fault.Denied},
		"another is":            {"skills: [greet]", "skills: [greeter]", "", "", fault.Denied},
		"denied":                {"skills: [greet]", "skills: [greet], deny: {skills: [greet]}", "", "", fault.Denied},
		"not by the ceiling":    {"skills: [greet]", "skills: [greet]", "environment: [TERM]", "", fault.Denied},
		"by the ceiling":        {"skills: [greet]", "skills: [greet]", "skills: [\"*\"]", "", fault.Internal},
		"denied by the ceiling": {"skills: [greet]", "skills: [greet]", "skills: [\"*\"], deny: {skills: [greet]}", "", fault.Denied},
		"not there":             {"skills: [other]", "skills: [\"*\"]", "", "", fault.Invalid},
		"a pattern asked for":   {"skills: [\"*\"]", "skills: [\"*\"]", "", "", fault.Invalid},
		"for a lock entry":      {"skills: [greet]", "agents: [{lock: reader, skills: [greet]}]", "", "reader", fault.Internal},
		"for another entry":     {"skills: [greet]", "agents: [{lock: reader, skills: [greet]}]", "", "writer", fault.Denied},
		"for no entry":          {"skills: [greet]", "agents: [{lock: reader, skills: [greet]}]", "", "", fault.Denied},
	} {
		in := compile.Input{Manifest: agent(t, "version: 1\nname: a\ncommand: [x]\n"+c.asked), Owner: owner(), Subject: nacre.Subject{Digest: digest, Lock: c.lock},
			Skills: map[string]string{"greet": "/home/u/.local/state/nacre/skills/sha256-0/greet"}, Policy: flow(t, c.rules)}
		if c.ceiling != "" {
			in.Ceiling = flow(t, c.ceiling)
		}
		p, err := compile.Compile(in)
		if c.want != fault.Internal {
			if fault.KindOf(err) != c.want {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var places []string
		for _, f := range p.Files {
			if f.Access != nacre.Read || f.Host != in.Skills["greet"] {
				t.Errorf("%s: %+v", name, f)
			}
			places = append(places, f.Inside)
		}
		if want := []string{"/home/agent/.agents/skills/greet", "/home/agent/.claude/skills/greet"}; !slices.Equal(places, want) ||
			p.Workdir != compile.Home || !p.Identity.HostFolders {
			t.Errorf("%s: %v, starts in %s", name, places, p.Workdir)
		}
	}
}

// flow is a policy written on one line.
func flow(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte("{version: 1, "+text+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
