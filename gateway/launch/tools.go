package launch

import (
	"cmp"
	"strconv"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/gateway/wire"
	"nacre/manifest"
	"nacre/pattern"
	calls "nacre/tools"
)

// label is what a tool server's name must be, to be part of a host's.
var label = pattern.Of(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// toolServers are those that the plan's tools are at, in its order.
func toolServers(p nacre.Plan) (servers []wire.ToolServer, err error) {
	place := map[string]int{}
	for _, n := range p.Tools {
		s, err := serverOf(n)
		if err != nil {
			return nil, err
		}
		i, known := place[n.Name]
		if !known {
			i = len(servers)
			place[n.Name], servers = i, append(servers, s)
		} else if old := servers[i]; old.Skill != s.Skill || old.Host != s.Host || old.Port != s.Port || old.Path != s.Path || old.Plain != s.Plain {
			return nil, fault.New(fault.Unsupported, "the tool server %s has two places", n.Name).WithHint("give one of them another name")
		}
		servers[i].Grants = append(servers[i].Grants, n)
	}
	return servers, nil
}

// serverOf is where the tools of a grant are: a skill, or an address.
func serverOf(n nacre.NamedGrant) (s wire.ToolServer, err error) {
	if _, err := calls.Read(n); err != nil {
		return s, fault.Wrap(fault.Unsupported, err, "the grant for tools of %s", n.Name)
	}
	s = wire.ToolServer{Name: n.Name, Inside: calls.Inside(n.Name), Skill: n.Detail["skill"]}
	switch {
	case !manifest.One(n.Detail["url"], s.Skill):
		return s, fault.New(fault.Unsupported, "the grant for tools of %s names no place, or two", n.Name).
			WithHint("say where they are: either url: https://HOST/mcp or skill: NAME")
	case len(n.Name) > 63 || !label().MatchString(n.Name):
		return s, fault.New(fault.Unsupported, "the tool server %s cannot have a name inside", n.Name).WithHint("lower-case letters, digits and hyphens, at most 63")
	case s.Skill != "":
		return s, nil
	}
	at, err := calls.Where(n)
	if err != nil {
		return s, fault.Wrap(fault.Unsupported, err, "the grant for tools of %s", n.Name)
	}
	s.Host, s.Plain, s.Path = at.Hostname(), at.Scheme == "http", cmp.Or(at.Path, "/")
	if s.Port, err = strconv.Atoi(at.Port()); err != nil {
		s.Port = map[bool]int{true: 80, false: 443}[s.Plain]
	}
	return s, nil
}

// insidePath is where every server's MCP is, inside.
const insidePath = "/mcp"

// towards are the destinations by which programs reach tool servers: one for each
// grant, so that what is revoked is known by its id.
func towards(servers []wire.ToolServer) (list []nacre.NetworkGrant) {
	for _, s := range servers {
		for _, n := range s.Grants {
			list = append(list, nacre.NetworkGrant{Grant: n.Grant, Host: s.Host, As: s.Inside, Scheme: "https", Ports: []int{443},
				Methods: []string{"GET", "POST", "DELETE"}, Paths: []string{insidePath}})
		}
	}
	return list
}

// tools puts the plan's tools into the configuration, and their servers among the
// plan's destinations, where secrets are bound. It returns what tells programs of
// them.
func tools(p *nacre.Plan, config *wire.Config) (told []nacre.Variable, err error) {
	if config.Tools, err = toolServers(*p); err != nil {
		return nil, err
	}
	more := towards(config.Tools)
	p.Network = append(p.Network[:len(p.Network):len(p.Network)], more...)
	config.Rules.Grants = append(config.Rules.Grants[:len(config.Rules.Grants):len(config.Rules.Grants)], more...)
	for _, s := range config.Tools {
		told = append(told, nacre.Variable{Name: "NACRE_TOOLS_" + variable(strings.ToUpper(s.Name)), Value: "https://" + s.Inside + insidePath})
	}
	return told, nil
}
