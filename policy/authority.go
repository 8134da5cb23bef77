package policy

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"nacre"
	"nacre/strict"
)

// Facts are what the evaluator must know besides the files.
type Facts struct {
	Home     string        // the owner's, absolute
	Subject  nacre.Subject // the manifest's digest, path and lock entry
	Policies []string      // the policies' own paths: never in a granted folder
	Own      []string      // Nacre's configuration, state and binaries: masked, and never in a folder granted to write
}

// Authority is the one evaluator of what may be granted: to one subject, by
// the owner's policy and command line, under the administrator's ceiling.
type Authority struct {
	facts     Facts
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

// New makes the evaluator. A nil owner's policy allows nothing; a nil ceiling
// is none. What the owner granted on the command line counts as policy.
func New(facts Facts, owner, ceiling *Policy, granted Rules) (*Authority, error) {
	a := &Authority{facts: facts, origins: map[string]nacre.Origin{}}
	rules, err := a.effective(owner)
	if err != nil {
		return nil, err
	}
	merge(reflect.ValueOf(&rules).Elem(), reflect.ValueOf(granted))
	a.layers = []layer{{"policy", rules}}
	if ceiling != nil {
		top, err := a.effective(ceiling)
		if err != nil {
			return nil, err
		}
		a.layers = append(a.layers, layer{"ceiling", top})
	}
	return a, a.block()
}

// effective is a policy's rules for the subject, with every path resolved.
func (a *Authority) effective(p *Policy) (Rules, error) {
	var rules Rules
	if p == nil {
		return rules, nil
	}
	all := reflect.ValueOf(&rules).Elem()
	merge(all, reflect.ValueOf(p.Rules))
	for _, agent := range p.Agents {
		bound := agent.Digest != "" && agent.Digest == a.facts.Subject.Digest || agent.Lock != "" && agent.Lock == a.facts.Subject.Lock
		if agent.Manifest != "" && a.facts.Subject.Path != "" {
			path, err := Resolve(agent.Manifest, "", a.facts.Home, agent.Origin)
			if err != nil {
				return rules, err
			}
			bound = path == a.facts.Subject.Path
			a.PathBound = a.PathBound || bound
		}
		if bound {
			merge(all, reflect.ValueOf(agent.Rules))
		}
	}
	for i, r := range rules.Files.Roots {
		path, err := Resolve(r.Path, "", a.facts.Home, r.Origin)
		if err != nil {
			return rules, err
		}
		rules.Files.Roots[i].Path = path
	}
	return rules, nil
}

// block collects the patterns: what any layer blocks is blocked.
func (a *Authority) block() (err error) {
	for _, l := range a.layers {
		names := map[string]nacre.Origin{}
		for _, name := range builtIn {
			names[name] = nacre.Origin{File: nacre.OriginBuiltIn}
		}
		for _, t := range l.rules.Files.Unblocked {
			delete(names, t.Value)
		}
		for _, t := range slices.Concat(l.rules.Files.Blocked, l.rules.Deny.Files) {
			pattern := t.Value
			if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
				pattern = literal(a.facts.Home) + "/" + rest
			}
			names[pattern] = t.Origin
		}
		maps.Copy(a.origins, names)
	}
	for _, own := range slices.Concat(a.facts.Own, a.facts.Policies) {
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
