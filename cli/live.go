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
	Reach(network []nacre.NetworkGrant, secrets []string) error
}

// glance is how often the policies are looked at.
const glance = 250 * time.Millisecond

// watch looks at the policies until ctx is done.
func (l *live) watch(ctx context.Context, box any) {
	r, ok := box.(reacher)
	if !ok || len(l.plan.Network)+len(l.plan.Secrets) == 0 {
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
		network, secrets := l.allowed()
		if err := r.Reach(network, secrets); err != nil && ctx.Err() == nil {
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

// allowed is what of the plan the policies allow now; nothing where they cannot
// be read.
func (l *live) allowed() (network []nacre.NetworkGrant, secrets []string) {
	c := l.asked
	if err := l.in.policies(l.app, l.owner, &c); err != nil {
		return nil, nil
	}
	whole, err := c.Whole()
	if err != nil {
		return nil, nil
	}
	auth, err := compile.Authority(whole)
	if err != nil || len(whole.Manifest.Network) != len(l.plan.Network) {
		return nil, nil
	}
	for i, n := range whole.Manifest.Network { // the plan has them in this order
		if d, _ := auth.Named(manifest.Entry(nacre.CapNetwork, n)); d.Effect == nacre.Allow {
			network = append(network, l.plan.Network[i])
		}
	}
	for _, s := range whole.Manifest.Secrets {
		if d, _ := auth.Named(manifest.Entry(nacre.CapSecrets, s)); d.Effect == nacre.Allow {
			secrets = append(secrets, s.Name)
		}
	}
	return network, secrets
}
