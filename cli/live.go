package cli

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/manifest"
	"nacre/policy"
)

// live keeps what a running sandbox reaches to what manifest and policy say now. The
// manifest is read again when the policy changes, and only then.
type live struct {
	in      *input
	app     *App
	owner   owner
	last    string // the policies, as they were before they were read
	asked   grant.Input
	plan    nacre.Plan           // of the start
	known   []nacre.NetworkGrant // all that it ever had
	now     atomic.Pointer[standing]
	gateway launch.Changeable // nil: there is none
}

// standing is what holds at one time: the plan, and who decides about more than it.
type standing struct {
	plan      nacre.Plan
	authority func() *policy.Authority // what it returns is nil where the policies cannot be read
	left      []string                 // what only a new start would give
}

// standing is what holds now.
func (l *live) standing() standing {
	if now := l.now.Load(); now != nil {
		return *now
	}
	return standing{plan: l.plan, authority: nobody}
}

// nobody decides where nothing is allowed.
func nobody() *policy.Authority { return nil }

// authority decides by the policies, as c has them.
func authority(c grant.Input) (compile.Input, *policy.Authority, error) {
	whole, err := c.Whole()
	if err != nil {
		return whole, nil, err
	}
	auth, err := compile.Authority(whole)
	return whole, auth, err
}

// start notes what the sandbox is made of.
func (l *live) start(c grant.Input, p nacre.Plan) {
	l.asked, l.plan, l.known = c, p, p.Network
	l.now.Store(&standing{plan: p, authority: sync.OnceValue(func() *policy.Authority { // most runs never ask
		_, auth, _ := authority(c) // where there is none, nothing more can be said to be allowed
		return auth
	})})
}

// begin notes how the policies are, before they are read.
func (in *input) begin(app *App, o owner) *live {
	l := &live{in: in, app: app, owner: o}
	l.last = l.stamp()
	return l
}

// glance is how often the policies are looked at.
const glance = 250 * time.Millisecond

// watch looks at the policies until ctx is done. record writes what becomes of it.
func (l *live) watch(ctx context.Context, record func(nacre.Event) error) {
	if l.gateway == nil || l.now.Load() == nil {
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
		if err := l.change(record); err != nil && ctx.Err() == nil {
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

// allowed are the grants of the start that the policies allow now; none where they
// cannot be read.
func (l *live) allowed(whole compile.Input, auth *policy.Authority) (ids []string) {
	if auth == nil {
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
