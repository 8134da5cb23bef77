// Package egress decides what may leave a sandbox: the one evaluator of network
// grants, for the gateway and for whoever asks beforehand. It does no input or
// output, and its zero value denies.
package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"nacre"
)

// Rules are what may be reached. No grant holds anything that is denied: package
// policy allows none that meets a denial.
type Rules struct {
	Grants []nacre.NetworkGrant
}

// Intent is what a program wants to do: open a connection (no Method), or, where
// the gateway can look inside, make a request.
type Intent struct {
	Scheme  string // https, http, ssh, tcp
	Host    string // as Name returns it
	Port    int
	Method  string
	Path    string   // as it is sent, escaped, without its query
	Upgrade string   // the protocol to change to
	Refs    []string // that a PUSH is to
}

func (i Intent) String() string {
	at := i.Scheme + "://" + join(i.Host, i.Port)
	if i.Method == "" {
		return at
	}
	return i.Method + " " + at + i.Path
}

// Known tells whether any grant is for the name: whether a question for it is
// answered at all.
func (r Rules) Known(name string) bool {
	return slices.ContainsFunc(r.Grants, func(g nacre.NetworkGrant) bool { return covers(g, name) })
}

// covers tells whether a grant is for a host: by its name inside where it has
// one, else by name or address.
func covers(g nacre.NetworkGrant, host string) bool {
	if g.As != "" {
		return g.As == host
	}
	return host != "" && CoversHost(g.Host, host)
}

// Toward lists the grants for a host and port, from which follows what may be
// spoken there.
func (r Rules) Toward(host string, port int) (grants []nacre.NetworkGrant) {
	for _, g := range r.Grants {
		if covers(g, host) && slices.Contains(g.Ports, port) {
			grants = append(grants, g)
		}
	}
	return grants
}

// Decide answers an intent. The grant is the one that allows it.
func (r Rules) Decide(i Intent) (nacre.Decision, nacre.NetworkGrant) {
	d := nacre.Decision{Capability: nacre.CapNetwork, Subject: i.String(), Rule: "default", Reason: r.missing(i), Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
	for _, g := range r.Toward(i.Host, i.Port) {
		why := refuses(g, i)
		if why == "" {
			d.Effect, d.Rule, d.Reason, d.Origin = nacre.Allow, g.ID, g.Reason, g.Allowed
			return d, g
		}
		d.Rule, d.Reason, d.Origin = g.ID, why, g.Declared
	}
	return d, nacre.NetworkGrant{}
}

// missing says what no grant is for.
func (r Rules) missing(i Intent) string {
	if !r.Known(i.Host) {
		if a, err := netip.ParseAddr(i.Host); err == nil {
			return fmt.Sprintf("no grant is for the address %s; programs reach a granted host by its name", a)
		}
		return "no grant is for " + i.Host
	}
	return fmt.Sprintf("no grant is for port %d of %s", i.Port, i.Host)
}

// refuses is why a grant for the host and port does not allow the rest; empty
// where it does.
func refuses(g nacre.NetworkGrant, i Intent) string {
	plain, ok := clean(i.Path)
	switch {
	case g.Scheme != i.Scheme:
		return fmt.Sprintf("%s is granted as %s, not %s", i.Host, g.Scheme, i.Scheme)
	case i.Method == "":
		return ""
	case g.Scheme == "tcp" || g.TLS != "":
		return "nothing looks inside what is granted as " + g.Scheme
	case !slices.Contains(g.Methods, i.Method):
		return fmt.Sprintf("%s is granted for %s, not %s", i.Host, strings.Join(g.Methods, ", "), i.Method)
	case slices.ContainsFunc(i.Refs, func(ref string) bool { return !pushable(g, ref) }):
		return fmt.Sprintf("%s is granted for pushes to %s, not to %.200q", i.Host, strings.Join(g.Push, ", "), i.Refs)
	case i.Upgrade != "" && !slices.Contains(g.Upgrade, i.Upgrade):
		return fmt.Sprintf("%s is not granted to change to %q", i.Host, i.Upgrade)
	case !ok:
		return fmt.Sprintf("the path %.200q is not one", i.Path)
	case slices.Contains(g.Paths, "/**") && i.Method != Fetch && i.Method != Push:
		return "" // what can be read in two ways is allowed only where every path is
	case !plain:
		return fmt.Sprintf("the path %.200q can be read in two ways, and not every path is granted", i.Path)
	case !slices.ContainsFunc(g.Paths, func(p string) bool { return CoversPath(p, i.Path) }):
		return fmt.Sprintf("the path %.200q is not among %s", i.Path, strings.Join(g.Paths, ", "))
	}
	return ""
}

func pushable(g nacre.NetworkGrant, ref string) bool {
	return slices.ContainsFunc(g.Push, func(pattern string) bool { return Wild(pattern, ref) })
}
