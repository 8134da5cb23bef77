package cli

import (
	"errors"
	"maps"
	"slices"

	"nacre"
	"nacre/compile"
	"nacre/explain"
	"nacre/harness"
	"nacre/manifest"
	"nacre/policy"
	"nacre/seccomp"
	"nacre/skill"
	"nacre/strict"
)

// declared is the plan of a skill to which all is granted that it asks for:
// what it would have of its owner at most, and what of it no policy can allow.
// Nobody runs it.
func declared(s *skill.Skill) (nacre.Plan, []nacre.Decision, error) {
	m := manifest.Manifest{Loopback: true, Name: s.Name}
	if s.Capabilities != nil {
		m = *s.Capabilities
	}
	if len(m.Command) == 0 {
		m.Command = []string{"skill"}
	}
	in := compile.Input{Manifest: &m, Subject: nacre.Subject{Path: "/skill/" + skill.CapabilitiesFile}, Owner: compile.Owner{Home: "/home/owner", Cwd: "/", Groups: seccomp.Groups()}}
	in.Granted.Capabilities = m.Capabilities
	if m.Image.Value != "" {
		in.Granted.Images = []strict.Text{m.Image}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Environment)) {
		if m.Environment[name].From == "owner" {
			in.Granted.Environment = append(in.Granted.Environment, strict.Text{Value: name})
			in.Owner.Environment = map[string]string{name: "(yours)"}
		}
	}
	for _, name := range policy.BuiltIn() { // an owner could
		in.Granted.Files.Unblocked = append(in.Granted.Files.Unblocked, strict.Text{Value: name})
	}
	for _, f := range m.Files {
		if f.Preset != "" {
			in.Granted.Files.Presets = append(in.Granted.Files.Presets, strict.Text{Value: f.Preset})
			continue
		}
		path, err := policy.Resolve(f.Path, "/skill", in.Owner.Home, f.Origin)
		if err != nil {
			return nacre.Plan{}, nil, err
		}
		in.Granted.Files.Roots = append(in.Granted.Files.Roots, policy.Root{Path: path, Access: f.Access})
	}
	p, err := compile.Compile(in)
	var refusal *compile.Refusal
	if !errors.As(err, &refusal) {
		return p, nil, err
	}
	m.Files = slices.DeleteFunc(slices.Clone(m.Files), func(f manifest.File) bool {
		path, _ := policy.Resolve(f.Path, "/skill", in.Owner.Home, f.Origin)
		return slices.ContainsFunc(refusal.Decisions, func(d nacre.Decision) bool { return d.Subject == path+" "+f.Access.String() })
	})
	p, err = compile.Compile(in)
	return p, refusal.Decisions, err
}

// asks is what a skill asks for beyond what every sandbox has, a line for each.
func asks(s *skill.Skill) (lines []string, err error) {
	changes, err := askedMore(nil, s)
	for _, c := range changes {
		lines = append(lines, string(c.Capability)+" "+c.Summary)
	}
	return lines, err
}

// askedMore is what changes in what is asked for, from one version of a skill
// to the next; from none, where there is no old one.
func askedMore(old, new *skill.Skill) ([]explain.Change, error) {
	if old == nil {
		old = &skill.Skill{Front: skill.Front{Name: new.Name}}
	}
	before, _, err := declared(old)
	if err != nil {
		return nil, err
	}
	after, refused, err := declared(new)
	if err != nil {
		return nil, err
	}
	changes := explain.Diff(before, after)
	for _, d := range refused {
		changes = append(changes, explain.Change{Added: true, Capability: d.Capability, Summary: d.Subject + " (no policy can allow this)"})
	}
	return append(changes, scriptsMore(old, new)...), nil
}

// scriptsMore is what changes in whose scripts are run at a harness's installation.
func scriptsMore(old, new *skill.Skill) (changes []explain.Change) {
	before, after := scriptsOf(old), scriptsOf(new)
	for _, pair := range []struct {
		from, to []string
		added    bool
	}{{before, after, true}, {after, before, false}} {
		for _, s := range pair.to {
			if !slices.Contains(pair.from, s) {
				changes = append(changes, explain.Change{Added: pair.added, Capability: "scripts", Summary: s})
			}
		}
	}
	return changes
}

// scriptsOf are packages whose scripts a skill has run.
func scriptsOf(s *skill.Skill) []string {
	if s.Kind != skill.Harness {
		return nil
	}
	return harness.Scripts(s.Definition)
}
