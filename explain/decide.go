// Package explain answers questions: what a plan grants, what the policy would
// allow, and what a change of plan adds. It decides nothing itself; it asks
// the evaluator that Compile asks, and the plan that the engine enforces.
package explain

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/egress"
	"nacre/egress/intent"
	"nacre/manifest"
	"nacre/sandbox/blueprint"
	"nacre/tools"
)

// Query is a question about a plan or a policy.
type Query struct {
	Capability nacre.Capability
	// Subject is an absolute path; "GET https://host/path" or "tcp://host:22";
	// "server/tool", perhaps with arguments;
	// the name of a system call, group, limit, variable or named capability.
	Subject string
	Access  nacre.Access // of a file; none asks for read
	Value   string       // the amount of a limit; one item of a named capability
	Inside  bool         // a path is inside the sandbox, not the host's
	// Laid is what the sandbox is to have in its root, in the order in which it is made,
	// with what of the plan's folders is masked and guarded. None: not known.
	Laid []blueprint.Entry
	// Syscall decides about a single system call; nil knows only groups.
	Syscall func(name string, groups []string) nacre.Decision
}

// Decide answers from the plan alone: what the sandbox enforces.
func Decide(p nacre.Plan, q Query) nacre.Decision {
	no := nacre.Decision{Capability: q.Capability, Subject: q.Subject, Rule: "default", Reason: "the plan does not grant it",
		Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
	switch q.Capability {
	case nacre.CapFiles:
		return decideFile(p, q, no)
	case nacre.CapNetwork:
		asked, err := intent.Parse(q.Subject)
		if err != nil {
			no.Reason = err.Error()
			return no
		}
		d, _ := egress.Rules{Grants: p.Network}.Decide(asked)
		d.Subject = q.Subject
		return d
	case nacre.CapSyscalls:
		return decideSyscall(p, q, no)
	case nacre.CapLimits:
		return decideLimit(p, q, no)
	case nacre.CapEnvironment:
		for _, v := range p.Environment {
			if v.Name == q.Subject {
				return yes(no, v.Grant)
			}
		}
		no.Remedy = "--env " + q.Subject
	case nacre.CapImage:
		if q.Subject == string(p.Image.Kind) || q.Subject == p.Image.Reference && q.Subject != "" {
			return yes(no, p.Image.Grant)
		}
	case nacre.CapSkills:
		for _, g := range p.Files {
			if g.Capability == nacre.CapSkills && path.Base(g.Inside) == q.Subject {
				return yes(no, g.Grant)
			}
		}
	case nacre.CapTools:
		if call, ok := tools.Ask(q.Subject); ok {
			return decideCall(p, call, no)
		}
		return decideNamed(p, q, no)
	default:
		return decideNamed(p, q, no)
	}
	return no
}

// decideCall asks the evaluator that the gateway asks.
func decideCall(p nacre.Plan, call tools.Call, no nacre.Decision) nacre.Decision {
	var grants []tools.Grant
	for _, n := range p.Tools {
		g, err := tools.Read(n)
		if err != nil {
			no.Reason = err.Error()
			return no
		}
		grants = append(grants, g)
	}
	return tools.Decide(grants, call)
}

func yes(d nacre.Decision, g nacre.Grant) nacre.Decision {
	d.Effect, d.Rule, d.Reason, d.Origin = nacre.Allow, g.ID, g.Reason, g.Allowed
	return d
}

func decideSyscall(p nacre.Plan, q Query, no nacre.Decision) nacre.Decision {
	var groups []string
	for _, g := range p.Syscalls {
		if g.Name == q.Subject {
			return yes(no, g.Grant)
		}
		groups = append(groups, g.Name)
	}
	if q.Syscall == nil {
		return no
	}
	d := q.Syscall(q.Subject, groups)
	for _, g := range p.Syscalls {
		if d.Effect == nacre.Allow && strings.HasPrefix(d.Rule, "syscalls."+g.Name+".") {
			d.Rule, d.Origin = g.ID, g.Allowed
		}
	}
	return d
}

func decideLimit(p nacre.Plan, q Query, no nacre.Decision) nacre.Decision {
	for i, limit := range amounts(p.Limits).Each() {
		if limit.Name != q.Subject || i >= len(p.LimitGrants) {
			continue
		}
		amount, err := limit.Parse(q.Value)
		no.Subject += " " + q.Value
		switch {
		case err != nil:
			no.Reason = err.Error()
		case amount > limit.N:
			no.Rule, no.Reason = p.LimitGrants[i].ID, "the limit is "+limit.Format(limit.N)
			no.Origin, no.Remedy = p.LimitGrants[i].Declared, "--limit "+limit.Name+"="+q.Value
		default:
			return yes(no, p.LimitGrants[i])
		}
		return no
	}
	no.Reason = "there is no such limit"
	return no
}

func decideNamed(p nacre.Plan, q Query, no nacre.Decision) nacre.Decision {
	list := compile.Named(&p)[q.Capability]
	if list == nil {
		no.Reason = fmt.Sprintf("there is no capability %q", q.Capability)
		return no
	}
	for _, g := range *list {
		if g.Name != q.Subject {
			continue
		}
		items := strings.Split(g.Detail[narrowing[q.Capability]], manifest.Separator)
		if q.Value == "" || slices.ContainsFunc(items, func(item string) bool { return among(q.Capability, item, q.Value) }) {
			return yes(no, g.Grant)
		}
	}
	return no
}

// narrowing is the list that one item of a named capability is in.
var narrowing = map[nacre.Capability]string{nacre.CapSecrets: "hosts", nacre.CapModels: "models", nacre.CapTools: "tools",
	nacre.CapMessages: "access", nacre.CapSchedule: "when"}

// among tells whether an item holds what is asked for: of a secret's, a place.
func among(c nacre.Capability, item, asked string) bool {
	if c == nacre.CapSecrets {
		return egress.CoversPlace(item, asked)
	}
	return egress.Wild(item, asked)
}

// request is what would have to be asked for.
func request(s string) (manifest.Network, error) {
	i, err := intent.Parse(s)
	if err != nil {
		return manifest.Network{}, err
	}
	n := manifest.Network{NetworkGrant: nacre.NetworkGrant{Host: i.Host, Scheme: i.Scheme, Ports: []int{i.Port}}}
	if i.Method != "" {
		n.Methods, n.Paths = []string{i.Method}, []string{i.Path}
	}
	return n, n.Check()
}
