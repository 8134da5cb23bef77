package cli

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/explain"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/manifest"
	"nacre/policy"
)

// change is what a change of the policy comes to: the plan as it holds from now on, of
// which the gateway is told what it still has of the start and what it has besides.
type change struct {
	standing
	ids         []string
	begun, more []nacre.NetworkGrant // its destinations, of the start and others
}

// change has the gateway reach what manifest and policy say now. What is more is
// recorded before; what is less becomes so in any case.
func (l *live) change(record func(nacre.Event) error) error {
	before := l.standing()
	c := l.next()
	if c.plan.Digest == before.plan.Digest && slices.Equal(c.left, before.left) {
		l.now.Store(&c.standing)
		return nil
	}
	e := nacre.Event{Kind: "sandbox.reach", Decision: nacre.Allow, Plan: c.plan.Digest, Reason: "the policy has changed",
		Detail: map[string]string{"grants": strings.Join(c.ids, " "), "before": before.plan.Digest, "after": c.plan.Digest}}
	for _, n := range c.more {
		e.Detail["more"] += n.ID + " " + n.Summary + "; "
	}
	if c.left != nil {
		e.Detail["left"] = strings.Join(c.left, "; ")
		e.Reason += "; only a new start gives it " + e.Detail["left"]
	}
	failed := record(e)
	if failed == nil {
		l.now.Store(&c.standing)
		failed = l.gateway.Change(c.ids, c.more)
	}
	if failed == nil {
		return nil
	}
	less := standing{l.remaining(c.ids, c.begun), c.authority, c.left}
	l.now.Store(&less)
	return errors.Join(failed, l.gateway.Change(c.ids, nil))
}

// next compiles anew.
func (l *live) next() (c change) {
	in := l.asked
	if err := l.in.policies(l.app, l.owner, &in); err != nil {
		c.plan, c.authority = l.remaining(nil, nil), nobody
		return c
	}
	whole, auth, err := authority(in)
	if err != nil {
		c.plan, c.authority = l.remaining(nil, nil), nobody
		return c
	}
	c.authority, c.ids = func() *policy.Authority { return auth }, l.allowed(whole, auth)
	network := slices.DeleteFunc(slices.Clone(l.plan.Network), func(n nacre.NetworkGrant) bool { return !slices.Contains(c.ids, n.ID) })
	if p, err := l.compiled(in); err == nil {
		network, c.left = l.reachable(p)
	} else if in.Manifest != nil {
		c.left = []string{"what its manifest says now: " + err.Error()}
	}
	c.plan = l.remaining(c.ids, network)
	c.split(l.plan, network)
	return c
}

// compiled is what the compiler says of this agent now: of what its manifest declares
// today, what the policy allows of each list.
func (l *live) compiled(in grant.Input) (nacre.Plan, error) {
	if l.in.agent != "" && !l.writable() {
		if err := l.in.manifest(l.app, l.owner, &in); err != nil {
			return nacre.Plan{}, err
		}
		if in.Subject.Path != l.asked.Subject.Path { // who can change the link may be the agent
			return nacre.Plan{}, fault.New(fault.Denied, "%s leads to another file than at the start", l.in.agent)
		}
	}
	whole, auth, err := authority(in)
	if err != nil {
		return nacre.Plan{}, err
	}
	m := *whole.Manifest
	m.Network, m.Secrets = permitted(auth, nacre.CapNetwork, m.Network), permitted(auth, nacre.CapSecrets, m.Secrets)
	m.Models, m.Tools = permitted(auth, nacre.CapModels, m.Models), permitted(auth, nacre.CapTools, m.Tools)
	whole.Manifest = &m
	return compile.Compile(whole)
}

// permitted are the entries that the policy allows.
func permitted[T any](auth *policy.Authority, c nacre.Capability, list []T) (allowed []T) {
	for _, written := range list {
		if d, _ := auth.Named(manifest.Entry(c, written)); d.Effect == nacre.Allow {
			allowed = append(allowed, written)
		}
	}
	return allowed
}

// writable tells whether the agent could have written its own manifest: then that of
// the start counts.
func (l *live) writable() bool {
	return slices.ContainsFunc(l.plan.Files, func(f nacre.FileGrant) bool {
		return f.Access > nacre.Read && policy.Within(f.Host, l.asked.Subject.Path)
	})
}

// reachable are the destinations of a plan that the running sandbox can have. Those
// that it had before keep their ids, by which is counted what goes there.
func (l *live) reachable(p nacre.Plan) (list []nacre.NetworkGrant, left []string) {
	for _, n := range p.Network {
		i := slices.IndexFunc(l.known, func(k nacre.NetworkGrant) bool { return reflect.DeepEqual(place(k), place(n)) })
		if i < 0 {
			if err := launch.Addable(l.plan, p, n); err != nil {
				left = append(left, fmt.Sprintf("%s (%v)", n.Summary, err))
				continue
			}
			n.ID = fmt.Sprintf("network.%d", len(l.known)+1)
			i, l.known = len(l.known), append(slices.Clip(l.known), n)
		}
		had := l.known[i]
		had.Bytes, had.Rate, had.Connections = n.Bytes, n.Rate, n.Connections
		if !slices.ContainsFunc(list, func(o nacre.NetworkGrant) bool { return o.ID == had.ID }) {
			list = append(list, had)
		}
	}
	for _, d := range explain.Diff(l.plan, p) {
		if d.Added && d.Capability != nacre.CapNetwork {
			left = append(left, string(d.Capability)+" "+d.Summary)
		}
	}
	return list, left
}

// place is where a grant leads and what for: all but its id, its reason, its limits.
func place(n nacre.NetworkGrant) nacre.NetworkGrant {
	n.Grant, n.Bytes, n.Rate, n.Connections = nacre.Grant{}, 0, 0, 0
	return n
}

// remaining is the plan with these destinations, and of secrets, models and tools those
// with these ids.
func (l *live) remaining(ids []string, network []nacre.NetworkGrant) nacre.Plan {
	p := l.plan
	p.Network = append([]nacre.NetworkGrant{}, network...)
	for _, list := range []*[]nacre.NamedGrant{&p.Secrets, &p.Models, &p.Tools} {
		kept := []nacre.NamedGrant{}
		for _, g := range *list {
			if slices.Contains(ids, g.ID) {
				kept = append(kept, g)
			}
		}
		*list = kept
	}
	p.Digest = compile.Digest(p)
	return p
}

// split divides destinations into those of the start, by their ids, and others.
func (c *change) split(begun nacre.Plan, network []nacre.NetworkGrant) {
	c.ids = slices.DeleteFunc(c.ids, func(id string) bool { return strings.HasPrefix(id, "network.") })
	for _, n := range network {
		if slices.ContainsFunc(begun.Network, func(b nacre.NetworkGrant) bool { return reflect.DeepEqual(b, n) }) {
			c.ids, c.begun = append(c.ids, n.ID), append(c.begun, n)
		} else {
			c.more = append(c.more, n)
		}
	}
}
