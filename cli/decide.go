package cli

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/explain"
	"nacre/fault"
	"nacre/grant"
	"nacre/remedy"
	"nacre/seccomp"
	"nacre/terminal"
)

// lookup asks the filter's own table about one system call.
func lookup(name string, groups []string) nacre.Decision {
	d, err := explain.Syscall(seccomp.Options{Arch: seccomp.Arch(runtime.GOARCH), Groups: groups, Loopback: true}, name)
	if err != nil {
		d.Reason = err.Error()
	}
	return d
}

// decide asks the plan, and, where that denies, what the policy says.
func decide(ctx context.Context, c grant.Input, q explain.Query) (nacre.Decision, error) {
	p, err := grant.Compile(c)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return nacre.Decision{}, err
	}
	whole, wrong := c.Whole()
	if wrong != nil {
		return nacre.Decision{}, wrong
	}
	if err == nil {
		d, err := ofPlan(ctx, p, q)
		if err != nil || d.Effect == nacre.Allow {
			return d, err
		}
		if strings.HasPrefix(d.Rule, "blocked.") {
			return blocked(whole, p, q, d)
		}
		single := q.Capability == nacre.CapSyscalls && c.Owner.Groups[q.Subject] == ""
		conditions := q.Capability == nacre.CapTools && d.Rule != "default" // a declared tool, with other arguments
		laid := q.Capability == nacre.CapFiles && (d.Rule == "guarded" || d.Rule == "masked")
		if q.Inside || single || conditions || laid || remedy.Unenforced(q.Capability) != "" {
			return d, nil
		}
	}
	would, err := explain.Would(whole, q)
	if err != nil || would.Effect != nacre.Allow {
		return would, err
	}
	would.Effect = nacre.Deny
	would.Reason = "the policy would allow it, but it is not declared"
	would.Remedy = "declare it in the manifest, or on the command line"
	return would, nil
}

// ofPlan asks the plan; about files also what the engine would lay in the sandbox.
func ofPlan(ctx context.Context, p nacre.Plan, q explain.Query) (d nacre.Decision, err error) {
	if q.Capability == nacre.CapFiles {
		q.Laid, err = native.Contents(ctx, p)
	}
	d = explain.Decide(p, q)
	if instead := remedy.Unenforced(q.Capability); instead != "" {
		d.Effect, d.Reason, d.Remedy = nacre.Deny, "whatever is granted, a run with it is refused", instead
	}
	switch kind := fault.KindOf(err); {
	case err == nil, kind == fault.NotFound: // what is not there yet may be by then
		return d, nil
	case kind != fault.Denied:
		return d, err
	}
	d.Effect, d.Rule, d.Reason, d.Remedy = nacre.Deny, "masked", "the run is refused: "+err.Error(), fault.HintOf(err)
	return d, nil
}

// blocked completes what is said of a blocked name: where that is written, and what
// would allow it.
func blocked(whole compile.Input, p nacre.Plan, q explain.Query, d nacre.Decision) (nacre.Decision, error) {
	q.Subject, _ = explain.OnHost(p, q.Subject, q.Inside)
	would, err := explain.Would(whole, q)
	if err == nil && would.Rule == d.Rule {
		d.Origin, d.Remedy = would.Origin, would.Remedy
	}
	return d, err
}

func (app *App) printDecision(d nacre.Decision) error {
	t := table{}
	colour := map[bool]string{true: green, false: red}[d.Effect == nacre.Allow]
	fmt.Fprintln(app.Out, app.paint(colour, d.Effect.String()), oneLine(string(d.Capability)+" "+d.Subject))
	t.add("rule", d.Rule)
	t.add("reason", d.Reason)
	t.add("origin", d.Origin)
	if d.Remedy != "" {
		t.rows = append(t.rows, []string{"remedy", terminal.Escaped(d.Remedy)})
	}
	return t.print(app)
}
