package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/egress/intent"
	"nacre/manifest"
	"nacre/pattern"
	"nacre/policy"
	"nacre/remedy"
)

// Outward is the line that, in manifest and policy, would have allowed what an event
// of the gateway's says was denied. It is empty where none would: where the plan
// grants it already and a limit or a finding stood in the way, where the policy
// denies it, where a line cannot say just this. Whoever is inside chose the name and
// the path: what the line holds is safe on a terminal, between quotes of a shell, and
// in YAML.
func Outward(p nacre.Plan, auth *policy.Authority, e nacre.Event) string {
	if auth == nil || e.Decision == nacre.Allow || e.Rule != "default" && !slices.ContainsFunc(p.Network, func(n nacre.NetworkGrant) bool { return n.ID == e.Rule }) {
		return ""
	}
	i, ok := intended(e)
	if !ok || strings.HasSuffix(i.Host, ".nacre.internal") {
		return ""
	}
	asked, ok := asking(p, i)
	if now, _ := (egress.Rules{Grants: p.Network}).Decide(i); !ok || now.Effect == nacre.Allow {
		return ""
	}
	line := "network: [" + remedy.Flow(asked) + "]"
	written, ok := reread(line)
	if !ok || !allows(written, i) {
		return ""
	}
	d, _ := auth.Named(manifest.Entry(nacre.CapNetwork, written))
	if d.Effect == nacre.Allow {
		return line
	}
	return remedy.Line(d, asked)
}

// most is how long a text of a gateway's record may be, which cuts them.
const most = 512

// intended reads what a program meant to do. A name alone is read by https; so is a
// connection of which nothing more is known, unless its port says otherwise.
func intended(e nacre.Event) (i egress.Intent, ok bool) {
	to, refs := e.Detail["to"], e.Detail["refs"]
	if len(to) >= most || len(refs) >= most {
		return i, false
	}
	if e.Kind == "network.name" {
		i = egress.Intent{Scheme: "https", Port: 443}
		i.Host, ok = egress.Name(to)
		_, err := netip.ParseAddr(i.Host)
		return i, ok && err != nil && (e.Detail["type"] == "TypeA" || e.Detail["type"] == "TypeAAAA")
	}
	if e.Kind != "network.connect" && e.Kind != "network.request" {
		return i, false
	}
	i, err := intent.Parse(to)
	if !strings.Contains(to, " ") {
		i.Method, i.Path = "", ""
	}
	if err != nil || i.String() != to {
		return i, false
	}
	if usual := map[int]string{443: "https", 80: "http", 22: "ssh"}[i.Port]; i.Scheme == "tcp" && usual != "" {
		i.Scheme = usual
	}
	i.Refs, i.Upgrade = strings.Fields(refs), e.Detail["upgrade"]
	return i, true
}

// Asking is the entry for what people name: "https://host", "METHOD https://host/path",
// "tcp://host:port".
func Asking(subject string) (n manifest.Network, err error) {
	i, err := intent.Parse(subject)
	if err != nil {
		return n, err
	}
	if !strings.Contains(subject, " ") {
		if i.Path != "/" && i.Scheme != "tcp" {
			return n, fmt.Errorf("with a path it takes a method: 'GET %s'", subject)
		}
		i.Method, i.Path = "", ""
	}
	n, ok := asking(nacre.Plan{}, i)
	if !ok {
		return n, fmt.Errorf("the path %q is no pattern for itself alone", i.Path)
	}
	return n, nil
}

// harmless is a path that is a pattern for itself alone, and nothing to a shell.
var harmless = pattern.Of(`^/[A-Za-z0-9/._~@+:,=&%-]*$`)

// asking is the entry for just what was meant.
func asking(p nacre.Plan, i egress.Intent) (n manifest.Network, ok bool) {
	n.Host = i.Host
	for _, g := range p.Network {
		if g.As != "" && g.As == i.Host {
			n.Host, n.As = g.Host, g.As
		}
	}
	if i.Scheme != "https" {
		n.Scheme = i.Scheme
	}
	if i.Port != map[string]int{"https": 443, "http": 80, "ssh": 22}[i.Scheme] {
		n.Ports = []int{i.Port}
	}
	if i.Method == "" && i.Scheme == "ssh" {
		n.Access = "git"
	}
	if i.Method != "" {
		n.Methods, n.Paths = []string{i.Method}, []string{i.Path}
	}
	if len(i.Refs) > 0 {
		n.Push = i.Refs
	}
	if i.Upgrade != "" {
		n.Upgrade = []string{i.Upgrade}
	}
	return n, i.Method == "" || harmless().MatchString(i.Path)
}

// reread is an entry as a manifest with this line has it.
func reread(line string) (n manifest.Network, ok bool) {
	m, err := manifest.Parse("line", []byte("version: 1\nname: x\ncommand: [x]\n"+line+"\n"))
	if err != nil || len(m.Network) != 1 {
		return n, false
	}
	return m.Network[0], true
}

// allows tells whether an entry, granted as it stands, allows what was meant.
func allows(n manifest.Network, i egress.Intent) bool {
	d, _ := egress.Rules{Grants: []nacre.NetworkGrant{n.NetworkGrant}}.Decide(i)
	return d.Effect == nacre.Allow
}
