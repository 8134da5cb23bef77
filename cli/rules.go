package cli

import (
	"fmt"

	"nacre"
	"nacre/manifest"
	"nacre/policy"
	"nacre/remedy"
	"nacre/strict"
)

// ruleLine is one rule of a policy, as it is printed.
type ruleLine struct {
	Layer      string       `json:"layer"` // policy or ceiling
	For        string       `json:"for"`   // every agent, or one
	Effect     string       `json:"effect"`
	Capability string       `json:"capability"`
	Rule       string       `json:"rule"`
	Origin     nacre.Origin `json:"origin"`
}

// rulesOf lists a policy's rules; none for no policy.
func rulesOf(layer string, p *policy.Policy) []ruleLine {
	if p == nil {
		return nil
	}
	l := lister{layer: layer, who: "every agent"}
	l.rules(&p.Rules)
	for i := range p.Agents {
		a := &p.Agents[i]
		l.who = a.Manifest + a.Digest
		if a.Lock != "" {
			l.who = "lock:" + a.Lock
		}
		l.rules(&a.Rules)
	}
	return l.list
}

type lister struct {
	layer, who string
	list       []ruleLine
}

func (l *lister) add(effect string, capability nacre.Capability, at nacre.Origin, rule string) {
	l.list = append(l.list, ruleLine{l.layer, l.who, effect, string(capability), rule, at})
}

func (l *lister) texts(effect string, capability nacre.Capability, prefix string, list []strict.Text) {
	for _, t := range list {
		l.add(effect, capability, t.Origin, prefix+t.Value)
	}
}

// listed are the capabilities whose rules are lists of entries.
var listed = []nacre.Capability{nacre.CapNetwork, nacre.CapSecrets, nacre.CapModels, nacre.CapTools,
	nacre.CapMessages, nacre.CapSchedule, nacre.CapDevices, nacre.CapSyscalls, nacre.CapSkills}

func (l *lister) rules(r *policy.Rules) {
	const allow, deny = "allow", "deny"
	for _, root := range r.Files.Roots {
		l.add(allow, nacre.CapFiles, root.Origin, root.Access.String()+" "+root.Path)
	}
	l.texts(allow, nacre.CapFiles, "preset ", r.Files.Presets)
	l.texts(deny, nacre.CapFiles, "any ", r.Files.Blocked)
	l.texts(allow, nacre.CapFiles, "any ", r.Files.Unblocked)
	l.texts(allow, nacre.CapEnvironment, "", r.Environment)
	l.texts(allow, nacre.CapImage, "", r.Images)
	l.texts(allow, "accept", "", r.Accept)
	for _, c := range listed {
		for _, n := range manifest.Entries(r.Capabilities, c) {
			rule := n.Name
			if _, bare := n.Entry.(strict.Text); n.Entry != nil && !bare {
				rule = remedy.Flow(n.Entry)
			}
			l.add(allow, c, n.Origin, rule)
		}
	}
	for _, limit := range r.Limits.Each() {
		if limit.N > 0 {
			l.add("most", nacre.CapLimits, limit.Origin, limit.Name+" "+limit.Format(limit.N))
		}
	}
	l.denials(&r.Deny)
}

func (l *lister) denials(d *policy.Deny) {
	for _, h := range d.Network {
		rule := h.Host
		if len(h.Ports) > 0 {
			rule += fmt.Sprint(" ", h.Ports)
		}
		l.add("deny", nacre.CapNetwork, h.Origin, rule)
	}
	for _, named := range []struct {
		capability nacre.Capability
		list       []strict.Text
	}{
		{nacre.CapFiles, d.Files}, {nacre.CapEnvironment, d.Environment}, {nacre.CapImage, d.Images},
		{nacre.CapSecrets, d.Secrets}, {nacre.CapModels, d.Models}, {nacre.CapTools, d.Tools}, {nacre.CapMessages, d.Messages},
		{nacre.CapSchedule, d.Schedule}, {nacre.CapDevices, d.Devices}, {nacre.CapSyscalls, d.Syscalls}, {nacre.CapSkills, d.Skills},
	} {
		l.texts("deny", named.capability, "", named.list)
	}
}
