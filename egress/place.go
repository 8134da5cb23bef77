package egress

import (
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// The methods that stand for what git does in several requests.
const (
	Fetch = "FETCH"
	Push  = "PUSH"
)

// Place is where a secret may go: HOST[:PORT][/PATH-PATTERN].
type Place struct {
	Host string // a name, *.name for one label, or an address
	Port int    // 0: every port
	Path string // a pattern; empty: every path
}

// ParsePlace reads a place, which has one spelling: as it prints. What the host is
// made of is manifest.CheckHost's to look at.
func ParsePlace(s string) (p Place, ok bool) {
	p.Host = s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		p.Host, p.Path = s[:i], s[i:]
	}
	if _, err := netip.ParseAddr(p.Host); err != nil { // an address alone has no port
		host, port, _ := strings.Cut(p.Host, ":")
		if at, err := netip.ParseAddrPort(p.Host); err == nil {
			host, port = at.Addr().String(), strconv.Itoa(int(at.Port()))
		}
		number, _ := strconv.ParseUint(port, 10, 16) // what is none does not print as it was written
		p.Host, p.Port = strings.Trim(host, "[]"), int(number)
	}
	return p, p.Host != "" && p.String() == s && (p.Path == "" || GoodPath(p.Path))
}

func (p Place) String() string {
	if p.Port == 0 {
		return p.Host + p.Path
	}
	return join(p.Host, p.Port) + p.Path
}

// join writes a host, in brackets where it holds colons, and a port.
func join(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// Covers tells whether all of what is asked lies in the place.
func (p Place) Covers(asked Place) bool {
	return CoversHost(p.Host, asked.Host) && (p.Port == 0 || p.Port == asked.Port) &&
		(p.everywhere() || asked.Path != "" && CoversPath(p.Path, asked.Path))
}

func (p Place) everywhere() bool { return p.Path == "" || p.Path == "/**" }

// Holds tells whether what is asked for lies in the place. A path that can be read
// in two ways lies only where every path does.
func (p Place) Holds(i Intent) bool {
	plain, _ := clean(i.Path)
	return (plain || p.everywhere()) && p.Covers(Place{i.Host, i.Port, i.Path})
}

// CoversPlace tells whether a rule's place covers one that is asked for.
func CoversPlace(rule, asked string) bool {
	r, ok := ParsePlace(rule)
	a, ok2 := ParsePlace(asked)
	return ok && ok2 && r.Covers(a)
}

// CoversHost matches a host against a rule, in which *. stands for one label.
func CoversHost(rule, asked string) bool {
	below, wild := strings.CutPrefix(rule, "*.")
	label, rest, _ := strings.Cut(asked, ".")
	return rule == asked || wild && rest == below && label != "*" && label != ""
}

// CoversPath: * stands for one segment, ** at the end for all the rest.
func CoversPath(rule, asked string) bool {
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

// plainPath is a path pattern without anything that has a second spelling but
// for dots: whole segments are *, the last may be **.
var plainPath = regexp.MustCompile(`^/(([^*/?#;\\\x00]+|\*)/)*(\*\*|\*|[^*/?#;\\\x00]*)$`)

// GoodPath accepts a path pattern that has only one spelling.
func GoodPath(p string) bool {
	return plainPath.MatchString(p) && !strings.Contains(p, "%2") && straight(p)
}

// Wild matches s against a pattern in which * stands for anything, slashes too.
func Wild(pattern, s string) bool {
	plain := strings.NewReplacer("/", "\x00", `\`, `\\`, "?", `\?`, "[", `\[`)
	ok, err := path.Match(plain.Replace(pattern), strings.ReplaceAll(s, "/", "\x00"))
	return ok && err == nil
}
