package policy

import (
	"slices"
	"strings"

	"nacre/manifest"
)

// Covers tells whether one network rule allows all of what is asked. What is
// asked may itself be a pattern, or a single request.
func Covers(rule, asked manifest.Network) bool {
	in := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	if !manifest.CoversHost(rule.Host, asked.Host) || rule.Scheme != asked.Scheme || len(asked.Ports) == 0 ||
		slices.ContainsFunc(asked.Ports, func(p int) bool { return !slices.Contains(rule.Ports, p) }) {
		return false
	}
	if asked.Scheme == "tcp" {
		return true
	}
	return len(asked.Methods) > 0 && len(asked.Paths) > 0 && !slices.ContainsFunc(asked.Methods, in(rule.Methods)) &&
		!slices.ContainsFunc(asked.Paths, func(p string) bool {
			return !slices.ContainsFunc(rule.Paths, func(r string) bool { return coversPath(r, p) })
		})
}

// coversPath: * stands for one segment, ** at the end for all the rest.
func coversPath(rule, asked string) bool {
	r, a := strings.Split(rule, "/"), strings.Split(asked, "/")
	for i, part := range r {
		switch {
		case i >= len(a):
			return false
		case part == "**":
			return true
		case a[i] == "**", part == "*" && a[i] == "", part != "*" && part != a[i]:
			return false
		}
	}
	return len(r) == len(a)
}

// touches tells whether a denial meets anything that is asked.
func (d DenyHost) touches(asked manifest.Network) bool {
	host := d.Host == "*" || d.Host == asked.Host
	if below, wild := strings.CutPrefix(d.Host, "*"); wild {
		host = host || strings.HasSuffix(asked.Host, below)
	} else if below, wild := strings.CutPrefix(asked.Host, "*"); wild {
		host = host || strings.HasSuffix(d.Host, below)
	}
	return host && (len(d.Ports) == 0 || slices.ContainsFunc(asked.Ports, func(p int) bool { return slices.Contains(d.Ports, p) }))
}
