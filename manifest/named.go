package manifest

import (
	"path"
	"slices"
	"strings"

	"nacre"
)

// Named is a request, or a rule, of a capability that is known by its name:
// the common form of everything but files, network and limits.
type Named struct {
	Capability nacre.Capability
	Name       string
	Lists      map[string][]string // each item must be allowed
	Amounts    map[string]int64    // 0: not stated
	Reason     string
	Origin     nacre.Origin
	Entry      any // the entry as written; nil: only its name
}

// Named lists the named capabilities in a fixed order.
func (c *Capabilities) Named() []Named {
	var all []Named
	for _, s := range c.Secrets {
		lists := map[string][]string{"hosts": s.Hosts, "slot": {s.Slot}}
		if s.Reveal {
			lists = map[string][]string{"reveal": {"true"}}
		}
		all = append(all, Named{nacre.CapSecrets, s.Name, lists, nil, s.Reason, s.Origin, s})
	}
	for _, m := range c.Models {
		amounts := map[string]int64{"requests": m.Requests, "tokens": m.Tokens, "cents": m.Cents}
		all = append(all, Named{nacre.CapModels, m.Provider, map[string][]string{"models": m.Models}, amounts, m.Reason, m.Origin, m})
	}
	for _, t := range c.Tools {
		all = append(all, Named{nacre.CapTools, t.Server, map[string][]string{"tools": t.Tools}, nil, t.Reason, t.Origin, t})
	}
	for _, m := range c.Messages {
		all = append(all, Named{nacre.CapMessages, m.With, map[string][]string{"access": m.Access}, nil, m.Reason, m.Origin, m})
	}
	for _, j := range c.Schedule {
		all = append(all, Named{nacre.CapSchedule, j.Name, map[string][]string{"when": j.When}, nil, j.Reason, j.Origin, j})
	}
	for _, d := range c.Devices {
		all = append(all, Named{Capability: nacre.CapDevices, Name: d.Value, Origin: d.Origin})
	}
	for _, s := range c.Syscalls {
		all = append(all, Named{Capability: nacre.CapSyscalls, Name: s.Value, Origin: s.Origin})
	}
	return all
}

// Covers tells whether the rule allows all that is asked. Names and items of
// the rule may hold *, hosts *. for one label; a list that the rule leaves empty allows nothing.
func (rule Named) Covers(asked Named) bool {
	if rule.Capability != asked.Capability || !Wild(rule.Name, asked.Name) {
		return false
	}
	for key, items := range asked.Lists {
		for _, item := range items {
			match := Wild
			if key == "hosts" {
				match = CoversHost
			}
			if !slices.ContainsFunc(rule.Lists[key], func(allowed string) bool { return match(allowed, item) }) {
				return false
			}
		}
	}
	for key, amount := range asked.Amounts {
		if most := rule.Amounts[key]; most > 0 && amount > most {
			return false
		}
	}
	return true
}

// CoversHost matches a host against a rule, in which *. stands for one label.
func CoversHost(rule, asked string) bool {
	below, wild := strings.CutPrefix(rule, "*.")
	label, rest, _ := strings.Cut(asked, ".")
	return rule == asked || wild && rest == below && label != "*" && label != ""
}

// Wild matches s against a pattern in which * stands for anything, slashes too.
func Wild(pattern, s string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}

// presets are the read-only places that people's tools live in. They name
// programs and libraries, never tokens.
var presets = map[string][]string{
	"nvm":    {"~/.nvm"},
	"node":   {"~/.nvm", "~/.volta", "~/.local/share/fnm", "~/.npm-global"},
	"rustup": {"~/.rustup", "~/.cargo/bin", "~/.cargo/registry"},
	"pyenv":  {"~/.pyenv"},
	"uv":     {"~/.local/share/uv", "~/.local/bin"},
	"go":     {"/usr/local/go", "~/go/pkg/mod", "~/go/bin", "~/sdk"},
	"opt":    {"/opt"},
	"nix":    {"/nix/store", "/nix/var/nix/profiles"},
}

// Preset lists the places of a preset in the home folder given; nil: there is
// no such preset.
func Preset(name, home string) []string {
	var places []string
	for _, p := range presets[name] {
		if rest, ok := strings.CutPrefix(p, "~/"); ok {
			p = path.Join(home, rest)
		}
		places = append(places, p)
	}
	return places
}
