package compile

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"nacre"
	"nacre/manifest"
	"nacre/strict"
)

// fixed are the variables that every sandbox has.
var fixed = map[string]string{"HOME": Home, "USER": User, "LOGNAME": User, "LANG": "C.UTF-8", "TERM": "xterm",
	"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// offered are the owner's variables that are passed in unasked, where the
// policy offers them.
var offered = []string{"LANG", "TERM", "TZ"}

func (c *compiler) environment() {
	asked := map[string]manifest.Variable{}
	for name, value := range fixed {
		asked[name] = manifest.Variable{Value: value, Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
	}
	for _, name := range offered {
		d, _ := c.auth.Named(manifest.Named{Capability: nacre.CapEnvironment, Name: name})
		if _, has := c.Owner.Environment[name]; has && d.Effect == nacre.Allow {
			asked[name] = manifest.Variable{From: "owner", Origin: d.Origin}
		}
	}
	maps.Copy(asked, c.Manifest.Environment)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		v := asked[name]
		value, has := c.Owner.Environment[name]
		d := builtIn(nacre.CapEnvironment, "a fixed value, nothing of the owner's")
		if v.From == "owner" {
			d, _ = c.auth.Named(manifest.Named{Capability: nacre.CapEnvironment, Name: name})
			if v.Value = value; !has && d.Effect == nacre.Allow {
				continue // the owner has none
			}
			c.fail(manifest.CheckVariable(name, v)) // the others are checked
		}
		if g, ok := c.grant(d, nil, name, "", v.Origin); ok {
			c.plan.Environment = append(c.plan.Environment, nacre.Variable{Grant: g, Name: name, Value: v.Value})
		}
	}
}

// named compiles everything that is a list.
func (c *compiler) named() {
	for _, asked := range manifest.Entries(c.Manifest.Capabilities) {
		if _, known := c.Owner.Groups[asked.Name]; asked.Capability == nacre.CapSyscalls && !known {
			c.fail(strict.Invalid(asked.Origin, "syscalls: there is no group %q", asked.Name).
				WithHint("the groups are %s", strings.Join(slices.Sorted(maps.Keys(c.Owner.Groups)), ", ")))
		}
		d, granted := c.auth.Named(asked)
		detail := granted.Detail()
		if g, ok := c.grant(d, asked.Entry, summary(d.Subject, detail), asked.Reason, asked.Origin); ok {
			c.add(nacre.NamedGrant{Grant: g, Name: asked.Name, Detail: detail}, granted)
		}
	}
}

// add puts a grant where a plan keeps it, and says what it loosens.
func (c *compiler) add(g nacre.NamedGrant, granted manifest.Named) {
	switch from := g.Declared; g.Capability {
	case nacre.CapNetwork:
		n, most := granted.Entry.(manifest.Network).NetworkGrant, granted.Amounts
		n.Grant, n.Bytes, n.Rate, n.Connections = g.Grant, most["bytes"], most["rate"], most["connections"]
		c.plan.Network = append(c.plan.Network, n)
		switch {
		case n.Scheme == "tcp":
			c.warn("network-uninspected", from, "nothing looks inside what goes to %s", n.Host)
		case n.TLS != "":
			c.warn("fronting-possible", from, "what goes to %s is encrypted to whoever answers there: another site behind the same address can be reached", n.Host)
		}
	case nacre.CapSkills:
		c.skill(g.Grant, g.Name)
	case nacre.CapSyscalls:
		c.plan.Syscalls = append(c.plan.Syscalls, g)
		c.warn("syscalls-"+g.Name, from, "%s", c.Owner.Groups[g.Name])
		if g.Name == "nested-sandbox" {
			c.warn("landlock-off", from, "a nested sandbox mounts, which Landlock forbids: that layer is left out")
		}
	default:
		list := Named(&c.plan)[g.Capability]
		*list = append(*list, g)
		if g.Detail["reveal"] != "" {
			c.warn("secret-revealed", from, "the agent gets the value of %s itself", g.Name)
		}
	}
}

// Named is where a plan keeps the grants of each named capability.
func Named(p *nacre.Plan) map[nacre.Capability]*[]nacre.NamedGrant {
	return map[nacre.Capability]*[]nacre.NamedGrant{nacre.CapSecrets: &p.Secrets, nacre.CapModels: &p.Models, nacre.CapTools: &p.Tools,
		nacre.CapMessages: &p.Messages, nacre.CapSchedule: &p.Schedule, nacre.CapDevices: &p.Devices}
}

// summary is one line about an entry; a destination's subject holds scheme and ports.
func summary(subject string, detail map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(detail)) {
		if key != "scheme" && key != "ports" {
			subject += " " + key + "=" + detail[key]
		}
	}
	return subject
}

func (c *compiler) limits() {
	var granted manifest.Limits
	all := c.Manifest.Limits.Each()
	for i, limit := range granted.Each() {
		asked := all[i]
		d, most := c.auth.Limit(i, asked.N)
		limit.N = cmp.Or(asked.N, min(limit.Default, most))
		declared := cmp.Or(asked.Origin, nacre.Origin{File: nacre.OriginBuiltIn})
		if g, ok := c.grant(d, nil, limit.Name+" "+limit.Format(limit.N), "", declared); ok {
			c.plan.LimitGrants = append(c.plan.LimitGrants, g)
		}
	}
	c.plan.Limits = granted.Plan()
}

// Tiers are the lower tiers of protection that can be accepted.
func Tiers() []nacre.Tier {
	return []nacre.Tier{nacre.TierWatchdog, nacre.TierNoLandlock, nacre.TierOldLandlock, nacre.TierOwnerUID, nacre.TierMasksAtStart, nacre.TierCoreSocket}
}

func (c *compiler) tiers() {
	for _, t := range Tiers() {
		d, _ := c.auth.Named(manifest.Named{Capability: "accept", Name: string(t)})
		switch {
		case d.Effect == nacre.Allow:
			c.plan.Accepted = append(c.plan.Accepted, t)
			c.warn("accepts-"+string(t), d.Origin, "where this machine lacks the layer, the run goes on at the lower tier %s", t)
		case slices.ContainsFunc(c.Granted.Accept, func(own strict.Text) bool { return own.Value == string(t) }):
			c.deny(d, nil)
		}
	}
}
