package cli

import (
	"fmt"
	"runtime"
	"strings"

	"nacre"
	"nacre/explain"
	"nacre/fault"
	"nacre/grant"
	"nacre/seccomp"
	"nacre/terminal"
)

// lookup asks the filter's own table about one system call.
func lookup(name string, groups []string) (bool, string) {
	d, err := explain.Syscall(seccomp.Options{Arch: seccomp.Arch(runtime.GOARCH), Groups: groups, Loopback: true}, name)
	if err != nil {
		return false, err.Error()
	}
	if d.Remedy != "" {
		d.Reason += "; a group adds it: " + d.Remedy
	}
	return d.Effect == nacre.Allow, d.Reason
}

// decide asks the plan, and, where that denies, what the policy says.
func decide(c grant.Input, q explain.Query) (nacre.Decision, error) {
	p, err := grant.Compile(c)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return nacre.Decision{}, err
	}
	if err == nil {
		d := explain.Decide(p, q)
		single := q.Capability == nacre.CapSyscalls && c.Owner.Groups[q.Subject] == ""
		conditions := q.Capability == nacre.CapTools && d.Rule != "default" // a declared tool, with other arguments
		if d.Effect == nacre.Allow || q.Inside || single || conditions || strings.HasPrefix(d.Rule, "blocked.") {
			return d, nil
		}
	}
	whole, err := c.Whole()
	if err != nil {
		return nacre.Decision{}, err
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
