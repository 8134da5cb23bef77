package manifest

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/strict"
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Check refuses a name that could not be a host's, also of a manifest that nobody
// wrote, and a bad environment.
func (m *Manifest) Check() error {
	name, _ := reflect.TypeFor[Manifest]().FieldByName("Name")
	if !regexp.MustCompile(name.Tag.Get("match")).MatchString(m.Name) {
		return strict.Invalid(m.Origin, "name: expected %s; found %.60q", name.Tag.Get("about"), m.Name)
	}
	for _, n := range slices.Sorted(maps.Keys(m.Environment)) {
		if err := CheckVariable(n, m.Environment[n]); err != nil {
			return err
		}
	}
	return nil
}

// CheckVariable refuses what cannot be, or must not be, in an environment.
func CheckVariable(name string, v Variable) error {
	switch {
	case len(name) > 128 || !variable.MatchString(name):
		return strict.Invalid(v.Origin, "environment: %q is not a variable's name", name)
	case name == "HOME" || name == "USER" || name == "LOGNAME":
		return strict.Invalid(v.Origin, "environment: %s is always the sandbox's own", name)
	case len(v.Value) > 32<<10 || strings.ContainsRune(v.Value, 0):
		return strict.Invalid(v.Origin, "environment: the value of %s is over 32 KiB or holds a NUL", name)
	}
	return nil
}

// Check completes the defaults and refuses what cannot be meant.
func (f *File) Check() error {
	f.Access = cmp.Or(f.Access, nacre.Read)
	switch {
	case f.Access == nacre.Stage:
		return strict.Invalid(f.Origin, "access: stage is reserved and not available yet; expected read or write").WithHint("grant write to a copy of it (cp -r, git worktree add), and look at what changed there")
	case !One(f.Path, f.Preset):
		return strict.Invalid(f.Origin, "expected either path or preset")
	case f.Preset != "" && (f.At != "" || f.Access != nacre.Read):
		return strict.Invalid(f.Origin, "a preset is read-only and appears where it is on the host: no at, no access")
	case f.Preset != "" && Presets()[f.Preset] == nil:
		return strict.Invalid(f.Origin, "there is no preset %q", f.Preset).WithHint("the presets are %s", strings.Join(slices.Sorted(maps.Keys(Presets())), ", "))
	}
	return nil
}

// One tells whether exactly one of the texts is not empty.
func One(texts ...string) bool {
	return len(slices.DeleteFunc(texts, func(s string) bool { return s == "" })) == 1
}

// DefaultScope asks for none: a token may do whatever its server gives. A rule
// that names scopes does not allow it.
const DefaultScope = "default"

// Check completes the defaults and refuses what cannot be meant.
func (s *Secret) Check() error {
	switch {
	case s.Reveal != (s.Hosts == nil) || s.Reveal && (s.Slot != "" || s.Shaped != nil):
		return strict.Invalid(s.Origin, "secrets: expected either hosts, or reveal (to the agent itself: no hosts, no slot, no placeholder)")
	case (s.Slot == "oauth") != (s.Token != "") || s.Token == "" && s.Scopes != nil:
		return strict.Invalid(s.Origin, "secrets: slot: oauth and token go together, and scopes with them")
	case s.Token != "" && s.Scopes == nil:
		s.Scopes = []string{DefaultScope}
	case !s.Reveal && s.Slot == "":
		s.Slot = "bearer"
	}
	for _, h := range s.Hosts {
		at, ok := egress.ParsePlace(h)
		if !ok {
			return strict.Invalid(s.Origin, "secrets: hosts: expected HOST, HOST:PORT, HOST/PATH or HOST:PORT/PATH, such as api.example.com/v1/**; found %q", h)
		}
		if err := CheckHost(s.Origin, at.Host); err != nil {
			return err
		}
	}
	return nil
}

// address tells whether a host is one.
func address(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// CheckHost refuses what is no host, and every second spelling of one: the gateway
// looks for names as egress.Name returns them.
func CheckHost(from nacre.Origin, host string) error {
	bare, wild := strings.CutPrefix(host, "*.")
	if name, ok := egress.Name(bare); !ok || name != bare || wild && (address(bare) || !strings.Contains(bare, ".")) {
		return strict.Invalid(from, "expected a lower-case host name, *.name for one label, or an address; found %q", host).
			WithHint("names beyond ASCII are written in their xn-- form; * stands for one whole label, before two others; a port goes into ports: [5432], a name inside for an address into as:")
	}
	return nil
}

// Check completes the defaults and refuses what cannot be meant.
func (n *Network) Check() error {
	if n.Preset != "" {
		return nil // what it stands for is checked
	}
	if err := CheckHost(n.Origin, n.Host); err != nil {
		return err
	}
	n.Scheme = cmp.Or(n.Scheme, "https")
	if standard := map[string]int{"https": 443, "http": 80, "ssh": 22}[n.Scheme]; n.Ports == nil && standard != 0 {
		n.Ports = []int{standard}
	}
	if len(n.Ports) == 0 || slices.ContainsFunc(n.Ports, func(p int) bool { return p < 1 || p > 65535 }) {
		return strict.Invalid(n.Origin, "network: ports: expected numbers from 1 to 65535")
	}
	opaque := n.Scheme == "tcp" || n.TLS != ""
	switch {
	case n.As != "" && (!address(n.Host) || address(n.As) || CheckHost(n.Origin, n.As) != nil || strings.HasPrefix(n.As, "*")):
		return strict.Invalid(n.Origin, "network: as: expected a lower-case name for a host that is an address, found %q", n.As)
	case n.TLS != "" && n.Scheme != "https":
		return strict.Invalid(n.Origin, "network: tls: there is none in %s", n.Scheme)
	case opaque && (n.Access != "" || n.Methods != nil || n.Paths != nil || n.Upgrade != nil || n.Push != nil):
		return strict.Invalid(n.Origin, "network: %s has no access, methods, paths, upgrade or push: nothing looks inside", cmp.Or(n.TLS, n.Scheme))
	case opaque:
		return nil
	}
	return n.checkRequests()
}

// methods are what each access stands for.
var methods = map[string][]string{"read": {"GET", "HEAD", "OPTIONS"}, "write": {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}, "git": {egress.Fetch}}

func (n *Network) checkRequests() error {
	switch {
	case n.Access != "" && n.Methods != nil:
		return strict.Invalid(n.Origin, "network: expected either access or methods")
	case slices.ContainsFunc(n.Paths, func(p string) bool { return !egress.GoodPath(p) }):
		return strict.Invalid(n.Origin, "network: paths: expected patterns such as /repos/** or /users/*/keys, in plain form").
			WithHint("* stands for one whole segment, ** for the rest, at the end; no .., //, %%2f, ? or #")
	case n.Methods == nil:
		n.Methods = slices.Clone(methods[cmp.Or(n.Access, "read")])
		if n.Access == "git" && n.Push != nil {
			n.Methods = append(n.Methods, egress.Push)
		}
	}
	if (n.Push != nil) != slices.Contains(n.Methods, egress.Push) {
		return strict.Invalid(n.Origin, "network: push: expected refs, together with access: git")
	}
	if n.Scheme == "ssh" && (n.Upgrade != nil || slices.ContainsFunc(n.Methods, func(m string) bool { return m != egress.Fetch && m != egress.Push })) {
		return strict.Invalid(n.Origin, "network: by ssh there is git alone: access: git")
	}
	n.Access = "" // the methods say it
	if n.Paths == nil {
		n.Paths = []string{"/**"}
	}
	return nil
}
