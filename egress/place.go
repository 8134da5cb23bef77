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

// ParsePlace reads a place, which has one spelling. What the host is made of is
// manifest.CheckHost's to look at.
func ParsePlace(s string) (p Place, ok bool) {
	p.Host = s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		p.Host, p.Path = s[:i], s[i:]
	}
	ok = p.Path == "" || GoodPath(p.Path)
	if _, err := netip.ParseAddr(p.Host); err == nil || !strings.Contains(p.Host, ":") {
		return p, ok && p.Host != ""
	}
	i := strings.LastIndexByte(p.Host, ':')
	host, port := p.Host[:i], p.Host[i+1:]
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != port {
		return Place{}, false
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	six := strings.Contains(bare, ":")
	if a, err := netip.ParseAddr(bare); six != (host == "["+bare+"]") || !six && host != bare || six && (err != nil || a.String() != bare) || bare == "" {
		return Place{}, false
	}
	p.Host, p.Port = bare, int(number)
	return p, ok
}

func (p Place) String() string {
	host := p.Host
	if p.Port != 0 {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		host += ":" + strconv.Itoa(p.Port)
	}
	return host + p.Path
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
	plain, ok := clean(i.Path)
	return CoversHost(p.Host, i.Host) && (p.Port == 0 || p.Port == i.Port) && (p.everywhere() || plain && ok && CoversPath(p.Path, i.Path))
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
	return plainPath.MatchString(p) && !strings.Contains(p, "%2") && (p == path.Clean(p) || p == path.Clean(p)+"/")
}

// Wild matches s against a pattern in which * stands for anything, slashes too.
func Wild(pattern, s string) bool {
	plain := strings.NewReplacer("/", "\x00", `\`, `\\`, "?", `\?`, "[", `\[`)
	ok, err := path.Match(plain.Replace(pattern), strings.ReplaceAll(s, "/", "\x00"))
	return ok && err == nil
}
