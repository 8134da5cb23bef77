package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/grant"
	"nacre/manifest"
)

// live keeps what a running sandbox reaches within the policy as it is now. What
// was asked for stays what it was at the start: the manifest is not read again.
type live struct {
	in    *input
	app   *App
	owner owner
	last  string // the policies, as they were before they were read
	asked grant.Input
	plan  nacre.Plan
}

// begin notes how the policies are, before they are read.
func (in *input) begin(app *App, o owner) *live {
	l := &live{in: in, app: app, owner: o}
	l.last = l.stamp()
	return l
}

// reacher is a sandbox whose destinations can become fewer, and be its plan's
// again.
type reacher interface {
	Reach(grants []string) error
}

// glance is how often the policies are looked at.
const glance = 250 * time.Millisecond

// watch looks at the policies until ctx is done.
func (l *live) watch(ctx context.Context, box any) {
	r, ok := box.(reacher)
	if !ok || len(l.plan.Network)+len(l.plan.Secrets)+len(l.plan.Models)+len(l.plan.Tools) == 0 {
		return
	}
	for tick := time.NewTicker(glance); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		now := l.stamp()
		if now == l.last {
			continue
		}
		l.last = now
		if err := r.Reach(l.allowed()); err != nil && ctx.Err() == nil {
			l.app.note("the policy has changed, and the gateway cannot be told: %v", err)
		}
	}
}

// stamp changes when a policy does.
func (l *live) stamp() (all string) {
	paths := []string{l.owner.policyPath(), l.owner.ceilingPath()}
	if l.in.policy != "" {
		paths[0] = l.in.policy
	}
	for _, path := range paths {
		st, err := os.Stat(path)
		if err != nil {
			all += "none "
			continue
		}
		all += fmt.Sprint(st.ModTime().UnixNano(), st.Size(), st.Mode(), " ")
	}
	return all
}

// allowed are the plan's grants that the policies allow now; none where they
// cannot be read.
func (l *live) allowed() (ids []string) {
	c := l.asked
	if err := l.in.policies(l.app, l.owner, &c); err != nil {
		return nil
	}
	whole, err := c.Whole()
	if err != nil {
		return nil
	}
	auth, err := compile.Authority(whole)
	if err != nil {
		return nil
	}
	given := map[nacre.Capability][]nacre.NamedGrant{}
	for _, n := range l.plan.Network {
		given[nacre.CapNetwork] = append(given[nacre.CapNetwork], nacre.NamedGrant{Grant: n.Grant})
	}
	for capability, list := range compile.Named(&l.plan) {
		given[capability] = *list
	}
	seen := map[nacre.Capability]int{}
	for _, asked := range manifest.Entries(whole.Manifest.Capabilities) { // the plan has them in this order
		n := seen[asked.Capability]
		seen[asked.Capability]++
		d, now := auth.Named(asked)
		if d.Effect == nacre.Allow && n < len(given[asked.Capability]) && bound(given[asked.Capability][n], now) {
			ids = append(ids, given[asked.Capability][n].ID)
		}
	}
	return ids
}

// bound tells whether a grant has the conditions that hold now. A running sandbox
// keeps to those of its plan, so where they differ it has the grant no more.
func bound(g nacre.NamedGrant, now manifest.Named) bool {
	detail := now.Detail()
	return g.Capability != nacre.CapTools || g.Detail["arguments"] == detail["arguments"] && g.Detail["pins"] == detail["pins"]
}
