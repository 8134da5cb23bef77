// Package tools decides which tools of a server may be called, and with which
// arguments: the one evaluator for the gateway and for whoever asks beforehand.
// It does no input or output, and its zero value denies.
package tools

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/manifest"
)

// Grant is one grant of tools at a server.
type Grant struct {
	nacre.Grant
	Server string
	Tools  []string          // patterns
	Pins   map[string]string // the digest that a tool's definition must have
	only   bool              // no other arguments than those with a condition
	limits []condition
}

// Read reads the conditions of a grant. One that cannot be read grants nothing.
func Read(n nacre.NamedGrant) (Grant, error) {
	g := Grant{Grant: n.Grant, Server: n.Name, Tools: list(n, "tools"), Pins: map[string]string{}}
	for _, text := range list(n, "arguments") {
		if text == "only" {
			g.only = true
			continue
		}
		c, err := parse(text)
		if err != nil {
			return Grant{}, err
		}
		g.limits = append(g.limits, c)
	}
	for _, pin := range list(n, "pins") {
		name, digest, _ := strings.Cut(pin, "@")
		if before := g.Pins[name]; before != "" && before != digest {
			return Grant{}, fmt.Errorf("the tool %s is to have two definitions", name)
		}
		g.Pins[name] = digest
	}
	return g, nil
}

func list(n nacre.NamedGrant, key string) []string {
	if n.Detail[key] == "" {
		return nil
	}
	return strings.Split(n.Detail[key], manifest.Separator)
}

// Call is what a program wants of a server.
type Call struct {
	Server, Tool string
	Arguments    map[string]any // as JSON has them, numbers as json.Number
	Any          bool           // whatever the arguments: asked beforehand
}

func (c Call) String() string { return c.Server + "/" + c.Tool }

// Has tells whether the grant is for a tool, with whatever arguments.
func (g Grant) Has(tool string) bool {
	return tool != "" && slices.ContainsFunc(g.Tools, func(pattern string) bool { return egress.Wild(pattern, tool) })
}

// Decide answers a call. The rule is the grant that allows it.
func Decide(grants []Grant, c Call) nacre.Decision {
	d := nacre.Decision{Capability: nacre.CapTools, Subject: c.String(), Rule: "default", Origin: nacre.Origin{File: nacre.OriginBuiltIn},
		Reason: fmt.Sprintf("no tool server %.64q is granted", c.Server)}
	for _, g := range grants {
		if g.Server != c.Server {
			continue
		}
		if d.Rule == "default" {
			d.Reason = fmt.Sprintf("the tool %.64q of %s is not granted", c.Tool, c.Server)
		}
		if !g.Has(c.Tool) {
			continue
		}
		d.Rule, d.Origin = g.ID, g.Declared
		if d.Reason = g.refuses(c.Arguments); d.Reason == "" || c.Any {
			d.Effect, d.Reason, d.Origin = nacre.Allow, g.Reason, g.Allowed
			if conditions := g.conditions(); c.Any && conditions != "" {
				d.Reason = "where " + conditions
			}
			return d
		}
	}
	return d
}

// conditions are what a call must keep to, for people.
func (g Grant) conditions() string {
	var all []string
	for _, c := range g.limits {
		all = append(all, c.text)
	}
	if g.only {
		all = append(all, "no other arguments")
	}
	return strings.Join(all, ", ")
}

// refuses is why the arguments are not allowed; empty where they are.
func (g Grant) refuses(arguments map[string]any) string {
	for _, c := range g.limits {
		value, there := arguments[c.name]
		switch {
		case !there && c.optional:
		case !there:
			return fmt.Sprintf("the argument %s is missing, which the grant bounds (%s)", c.name, c.text)
		case !c.holds(value):
			return fmt.Sprintf("the argument %s is not what the grant says (%s)", c.name, c.text)
		}
	}
	for name := range arguments {
		if g.only && !slices.ContainsFunc(g.limits, func(c condition) bool { return c.name == name }) {
			return fmt.Sprintf("the argument %.64q is not among those of the grant", name)
		}
	}
	return ""
}

// Where is the place of a server: an https address, or an http one of this
// machine's loopback.
func Where(n nacre.NamedGrant) (*url.URL, error) {
	u, err := url.Parse(n.Detail["url"])
	if err != nil {
		return nil, err
	}
	a, err := netip.ParseAddr(u.Hostname())
	literal := err == nil && a.Zone() == ""
	port, err := strconv.Atoi(u.Port())
	switch {
	case u.Port() != "" && (err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != u.Port()):
		return nil, fmt.Errorf("%q is not a port", u.Port())
	case u.Scheme != "https" && (u.Scheme != "http" || !literal || !a.IsLoopback()):
		return nil, fmt.Errorf("expected https://host/path, or http:// to a loopback address, found %q", n.Detail["url"])
	case !literal && manifest.CheckHost(n.Declared, u.Hostname()) != nil || strings.HasPrefix(u.Hostname(), "*"):
		return nil, fmt.Errorf("%q is not a host", u.Hostname())
	case u.RawQuery+u.Fragment != "" || u.User != nil || u.RawPath != "" || strings.Contains(u.Path, "..") || strings.Contains(u.Path, "//"):
		return nil, fmt.Errorf("expected a plain path, found %q", n.Detail["url"])
	}
	return u, nil
}

// Inside is the name that a server has inside a sandbox.
func Inside(server string) string { return server + ".tools.nacre.internal" }
