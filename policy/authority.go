package policy

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/strict"
)

// Owner is what must be known of the owner and the machine.
type Owner struct {
	Home, Cwd   string            // absolute
	Environment map[string]string // the owner's own; only what is offered is taken
	Policies    []string          // the paths of the policies: never in a granted folder
	Own         []string          // Nacre's configuration, state and binaries: masked, and never in a folder granted to write
	PlainFiles  []string          // granted host paths known to be no folders
	Groups      map[string]string // the groups of system calls, each with its warning
}

// Authority is the one evaluator of what may be granted: to one subject, by
// the owner's policy and command line, under the administrator's ceiling.
type Authority struct {
	owner     Owner
	subject   nacre.Subject
	layers    []layer // the owner's, then the ceiling's if there is one
	blocked   *Blocked
	origins   map[string]nacre.Origin // where a blocked pattern was written
	Unblocked []strict.Text           // built-in names that are not masked
	PathBound bool                    // a rule is bound to the manifest's path
}

type layer struct {
	name  string
	rules Rules
}

// New makes the evaluator. A nil policy of the owner's allows nothing; a nil
// ceiling is none. What the owner granted on the command line counts as policy.
func New(owner Owner, subject nacre.Subject, policy, ceiling *Policy, granted Rules) (*Authority, error) {
	a := &Authority{owner: owner, subject: subject, origins: map[string]nacre.Origin{}}
	err := a.add("policy", cmp.Or(policy, &Policy{}), granted)
	if err == nil && ceiling != nil {
		err = a.add("ceiling", ceiling, Rules{})
	}
	if err == nil {
		err = a.block()
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// add adds a layer: a policy's rules for the subject, and what is granted
// besides, with every path resolved.
func (a *Authority) add(name string, p *Policy, granted Rules) error {
	l := layer{name: name}
	l.rules.Add(p.Rules)
	for _, agent := range p.Agents {
		bound := agent.Digest != "" && agent.Digest == a.subject.Digest || agent.Lock != "" && agent.Lock == a.subject.Lock
		if agent.Manifest != "" && a.subject.Path != "" {
			path, err := Resolve(agent.Manifest, "", a.owner.Home, agent.Origin)
			if err != nil {
				return err
			}
			bound = path == a.subject.Path
			a.PathBound = a.PathBound || bound
		}
		if bound {
			l.rules.Add(agent.Rules)
		}
	}
	l.rules.Add(granted)
	for i, r := range l.rules.Files.Roots {
		path, err := Resolve(r.Path, "", a.owner.Home, r.Origin)
		if err != nil {
			return err
		}
		l.rules.Files.Roots[i].Path = path
	}
	a.layers = append(a.layers, l)
	return nil
}

// block collects the patterns: what any layer blocks is blocked.
func (a *Authority) block() (err error) {
	for _, l := range a.layers {
		for _, name := range builtIn {
			if !slices.ContainsFunc(l.rules.Files.Unblocked, func(t strict.Text) bool { return t.Value == name }) {
				a.origins[name] = nacre.Origin{File: nacre.OriginBuiltIn}
			}
		}
		for _, t := range slices.Concat(l.rules.Files.Blocked, l.rules.Deny.Files) {
			pattern := t.Value
			if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
				pattern = literal(a.owner.Home) + "/" + rest
			}
			a.origins[pattern] = t.Origin
		}
	}
	for _, own := range slices.Concat(a.owner.Own, a.owner.Policies) {
		a.origins[literal(path.Clean(own))] = nacre.Origin{File: nacre.OriginBuiltIn}
	}
	for _, t := range a.layers[0].rules.Files.Unblocked {
		if _, still := a.origins[t.Value]; !still {
			a.Unblocked = append(a.Unblocked, t)
		}
	}
	a.blocked, err = NewBlocked(slices.Collect(maps.Keys(a.origins)))
	return err
}

// Blocked is the matcher of masked names.
func (a *Authority) Blocked() *Blocked { return a.blocked }

// rule is what one layer has to say: nothing where n is 0.
type rule struct {
	n      int // from 1, within its list
	origin nacre.Origin
	reason string
}

// judge asks every layer: one denial denies, and all must allow.
func (a *Authority) judge(d nacre.Decision, deny, allow func(*Rules) rule) nacre.Decision {
	for _, l := range a.layers {
		if r := deny(&l.rules); r.n > 0 {
			d.Effect, d.Rule, d.Origin = nacre.Deny, fmt.Sprintf("%s.deny.%s.%d", l.name, d.Capability, r.n), r.origin
			d.Reason = "the " + l.name + " denies it, whatever else allows it"
			return d
		}
	}
	for i, l := range a.layers {
		r := allow(&l.rules)
		if r.n == 0 {
			d.Effect, d.Rule, d.Origin = nacre.Deny, l.name+".default", nacre.Origin{File: nacre.OriginBuiltIn}
			d.Reason = "no rule of the " + l.name + " allows it" + r.reason
			return d
		}
		if i == 0 {
			d.Rule, d.Origin, d.Reason = fmt.Sprintf("%s.%s.%d", l.name, d.Capability, r.n), r.origin, r.reason
		}
	}
	d.Effect = nacre.Allow
	return d
}
