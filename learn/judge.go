package learn

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/manifest"
	"nacre/pattern"
	"nacre/remedy"
)

// judge makes lines of what was remembered: what only led to something else is
// left out, and where a line would grant more than was seen, it is unsure.
func judge(seen []Destination) (list []Destination) {
	for _, d := range seen {
		if d.Methods == nil && slices.ContainsFunc(seen, func(o Destination) bool { return leadsTo(d, o) }) {
			continue
		}
		d.Paths = narrow(d)
		d.unsure()
		i := slices.IndexFunc(list, func(o Destination) bool {
			return o.same(d) && o.Unsure == "" && d.Unsure == "" && slices.Equal(o.Paths, d.Paths)
		})
		if i >= 0 && (list[i].git() == d.git()) {
			list[i].join(d)
			continue
		}
		list = append(list, d)
	}
	return list
}

// leadsTo tells whether d is only the beginning of o: a look-up before a
// connection, a connection before a request.
func leadsTo(d, o Destination) bool {
	if d.Host != o.Host || d.Scheme == o.Scheme {
		return false
	}
	return d.Scheme == "name" || d.Scheme == "tcp" && d.Port == o.Port && o.Scheme != "name"
}

// git tells whether it is git that goes there.
func (d *Destination) git() bool {
	return slices.Contains(d.Methods, egress.Fetch) || slices.Contains(d.Methods, egress.Push)
}

// unsure says why an owner must look before a line can be meant.
func (d *Destination) unsure() {
	_, err := netip.ParseAddr(d.Host)
	switch {
	case d.Unsure != "":
	case d.Scheme == "name":
		d.Unsure = "it was only looked up: nothing tells the port or the protocol"
	case err == nil:
		d.Unsure = "it is an address: whose, nothing tells"
	case d.Scheme == "tcp":
		d.Unsure = "nothing was said there that the gateway looks into: as tcp, anything could pass"
	case d.Methods == nil:
		d.Unsure = "no request was made: the program may pin a certificate, or want more of SSH than git"
	default:
		if !d.writable() {
			d.Unsure = "it cannot be written as a grant"
		}
	}
}

// writable tells whether its line is one that a manifest can have.
func (d *Destination) writable() bool {
	_, err := manifest.Parse("line", []byte("version: 1\nname: x\ncommand: [x]\nnetwork:\n  - "+remedy.Flow(d.entry())+"\n"))
	return err == nil
}

// entry is the line of a manifest.
func (d *Destination) entry() manifest.Network {
	n := manifest.Network{NetworkGrant: nacre.NetworkGrant{Host: d.Host, Paths: d.Paths}}
	if d.Scheme != "https" {
		n.Scheme = d.Scheme
	}
	if standard := map[string]int{"https": 443, "http": 80, "ssh": 22}[d.Scheme]; d.Port != standard {
		n.Ports = []int{d.Port}
	}
	switch {
	case d.git():
		n.Access, n.Push = "git", d.Push
	case d.Methods != nil:
		n.Methods = d.Methods
	}
	return n
}

// plain are paths that are a pattern for just themselves.
var plain = pattern.Of(`^/[A-Za-z0-9/._~@+:,=&!-]*$`)

// narrow are the fewest patterns for the paths that were asked for.
func narrow(d Destination) []string {
	if d.Methods == nil {
		return nil
	}
	var list []string
	for _, p := range d.Paths {
		for _, end := range []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"} {
			if bare, ok := strings.CutSuffix(p, end); d.git() && ok {
				p = bare + "/**"
			}
		}
		if bare := strings.TrimSuffix(p, "/**"); bare != "" && (!plain().MatchString(bare) || path.Clean(bare) != strings.TrimSuffix(bare, "/") && bare != "/") {
			return []string{"/**"}
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if len(list) > maxPaths {
		return []string{above(list) + "**"}
	}
	slices.Sort(list)
	return list
}

// above is the folder that all paths are in, with its slash.
func above(list []string) string {
	folder := list[0][:strings.LastIndexByte(list[0], '/')+1]
	for _, p := range list {
		for !strings.HasPrefix(p, folder) {
			folder = folder[:strings.LastIndexByte(strings.TrimSuffix(folder, "/"), '/')+1]
		}
	}
	return folder
}
