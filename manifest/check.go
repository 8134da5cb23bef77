package manifest

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"nacre"
	"nacre/fault"
)

var (
	name     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	label    = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$`)
)

// The bounds of one environment.
const (
	maxVariables = 512
	maxValue     = 32 << 10
)

func (m *Manifest) check() error {
	if m.Version != 1 {
		return Invalid(m.Origin, "version is %d; this Nacre knows version 1", m.Version)
	}
	if err := CheckName(m.Name, m.Origin); err != nil {
		return err
	}
	if len(m.Environment) > maxVariables {
		return Invalid(m.Origin, "environment: more than %d variables", maxVariables)
	}
	for _, n := range slices.Sorted(maps.Keys(m.Environment)) {
		if err := CheckVariable(n, m.Environment[n]); err != nil {
			return err
		}
	}
	for i := range m.Files {
		if err := m.Files[i].Check(); err != nil {
			return err
		}
	}
	if err := m.Image.Check(); err != nil {
		return err
	}
	return m.Capabilities.Check()
}

// CheckName refuses a name that could not be a host's.
func CheckName(s string, from nacre.Origin) error {
	if !name.MatchString(s) {
		return Invalid(from, "name: expected lower-case letters, digits and hyphens, at most 63, found %q", s)
	}
	return nil
}

// CheckVariable refuses what cannot be, or must not be, in an environment.
func CheckVariable(name string, v Variable) error {
	switch {
	case !variable.MatchString(name):
		return Invalid(v.Origin, "environment: %q is not a variable's name", name)
	case name == "HOME" || name == "USER" || name == "LOGNAME":
		return Invalid(v.Origin, "environment: %s is always the sandbox's own", name)
	case len(v.Value) > maxValue || strings.ContainsRune(v.Value, 0):
		return Invalid(v.Origin, "environment: the value of %s is over 32 KiB or holds a NUL", name)
	}
	return nil
}

// Check completes the defaults and refuses what cannot be meant.
func (f *File) Check() error {
	if f.Access == nacre.NoAccess {
		f.Access = nacre.Read
	}
	switch {
	case f.Access == nacre.Stage:
		return Invalid(f.Origin, "access: stage is reserved and not available yet; expected read or write")
	case (f.Path == "") == (f.Preset == ""):
		return Invalid(f.Origin, "expected either path or preset")
	case f.Preset != "" && (f.At != "" || f.Access != nacre.Read):
		return Invalid(f.Origin, "a preset is read-only and appears where it is on the host: no at, no access")
	case f.Preset != "" && presets[f.Preset] == nil:
		return Invalid(f.Origin, "there is no preset %q", f.Preset)
	}
	return nil
}

// Check refuses an image that is not one thing, or not pinned.
func (i *Image) Check() error {
	ways := 0
	for _, s := range []string{i.Host, i.Directory, i.OCI, i.Layout, i.Archive} {
		if s != "" {
			ways++
		}
	}
	if ways > 1 || ways == 0 && i.Origin.File != "" {
		return Invalid(i.Origin, "image: expected host, or one of directory, oci, layout, archive")
	}
	return nil
}

// Check completes the defaults and refuses what cannot be meant.
func (c *Capabilities) Check() error {
	for i := range c.Network {
		if err := c.Network[i].Check(); err != nil {
			return err
		}
	}
	for i := range c.Secrets {
		if err := c.Secrets[i].check(); err != nil {
			return err
		}
	}
	for _, n := range c.Named() {
		if n.Name == "" || strings.ContainsFunc(n.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return Invalid(n.Origin, "%s: expected a name, found %q", n.Capability, n.Name)
		}
		for k, amount := range n.Amounts {
			if amount < 0 {
				return Invalid(n.Origin, "%s: %s is less than nothing", n.Capability, k)
			}
		}
		for k, items := range n.Lists {
			if len(items) == 0 {
				return Invalid(n.Origin, "%s: %s is empty, which allows nothing", n.Capability, k)
			}
		}
	}
	return c.Limits.check()
}

func (s *Secret) check() error {
	if s.Reveal {
		if s.Hosts != nil || s.Slot != "" {
			return Invalid(s.Origin, "secrets: a revealed secret goes to the agent itself: no hosts, no slot")
		}
		return nil
	}
	if s.Slot == "" {
		s.Slot = "bearer"
	}
	for _, h := range s.Hosts {
		if err := CheckHost(s.Origin, h); err != nil {
			return err
		}
	}
	return nil
}

func (l *Limits) check() error {
	for _, limit := range l.Each() {
		if limit.Text == "" {
			continue
		}
		n, err := limit.Parse(string(limit.Text))
		if err != nil {
			return Invalid(limit.Origin, "limits: %s: %v", limit.Name, err)
		}
		if n <= 0 {
			return Invalid(limit.Origin, "limits: %s: expected more than nothing, found %q", limit.Name, limit.Text)
		}
		limit.N = n
	}
	return nil
}

// ParseLimit reads NAME=AMOUNT, as on the command line, into l.
func (l *Limits) ParseLimit(s string, from nacre.Origin) error {
	key, text, _ := strings.Cut(s, "=")
	for _, limit := range l.Each() {
		if limit.Name == key && text != "" {
			*limit.Amount = Amount{Text: Quantity(text), Origin: from}
			return l.check()
		}
	}
	return fault.New(fault.Usage, "expected a limit such as memory=1GiB, found %q", s)
}

// CheckHost refuses what is no host, and every second spelling of one.
func CheckHost(from nacre.Origin, host string) error {
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" && a.String() == host {
		return nil
	}
	bare, wild := strings.CutPrefix(host, "*.")
	labels := strings.Split(bare, ".")
	if len(host) > 253 || wild && len(labels) < 2 || slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) }) ||
		strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return Invalid(from, "expected a lower-case host name, *.name for one label, or an address; found %q", host).
			WithHint("names beyond ASCII are written in their xn-- form; * stands for one whole label, before two others")
	}
	return nil
}

// Check completes the defaults and refuses what cannot be meant.
func (n *Network) Check() error {
	if err := CheckHost(n.Origin, n.Host); err != nil {
		return err
	}
	if n.Scheme == "" {
		n.Scheme = "https"
	}
	if standard := map[string]int{"https": 443, "http": 80}[n.Scheme]; n.Ports == nil && standard != 0 {
		n.Ports = []int{standard}
	}
	if len(n.Ports) == 0 || slices.ContainsFunc(n.Ports, func(p int) bool { return p < 1 || p > 65535 }) {
		return Invalid(n.Origin, "network: ports: expected numbers from 1 to 65535")
	}
	if n.Scheme == "tcp" {
		if n.Access != "" || n.Methods != nil || n.Paths != nil {
			return Invalid(n.Origin, "network: tcp has no access, methods or paths: nothing looks inside")
		}
		return nil
	}
	return n.checkHTTP()
}

func (n *Network) checkHTTP() error {
	if n.Access != "" && n.Methods != nil {
		return Invalid(n.Origin, "network: expected either access or methods")
	}
	if n.Methods == nil {
		n.Methods = []string{"GET", "HEAD", "OPTIONS"}
		if n.Access == "write" {
			n.Methods = append(n.Methods, "POST", "PUT", "PATCH", "DELETE")
		}
		n.Access = ""
	}
	if n.Paths == nil {
		n.Paths = []string{"/**"}
	}
	if len(n.Methods) == 0 {
		return Invalid(n.Origin, "network: methods is empty, which allows nothing")
	}
	if i := slices.IndexFunc(n.Paths, func(p string) bool { return !goodPath(p) }); i >= 0 || len(n.Paths) == 0 {
		return Invalid(n.Origin, "network: paths: expected patterns such as /repos/** or /users/*/keys, in plain form").
			WithHint("* stands for one whole segment, ** for the rest, at the end; no .., //, %%2f, ? or #")
	}
	return nil
}

// goodPath accepts a path pattern that has only one spelling.
func goodPath(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "?#;\\\x00") || strings.Contains(strings.ToLower(p), "%2") {
		return false
	}
	segments := strings.Split(p[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "" && !last, s == ".", s == "..", s == "**" && !last:
			return false
		case strings.Contains(s, "*") && s != "*" && s != "**":
			return false
		}
	}
	return true
}

// Invalid is the fault of something written at an origin.
func Invalid(at nacre.Origin, format string, args ...any) *fault.Fault {
	f := fault.New(fault.Invalid, format, args...)
	f.What = at.String() + ": " + f.What
	return f
}
