// Package grant reads the owner's command line, which is a grant by itself: it
// becomes lines of a manifest, which ask, and lines of a policy, which allow,
// below the policy's denials, the blocked names and the ceiling. It decides
// nothing: that is for the compiler.
package grant

import (
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/manifest"
	"nacre/remedy"
)

var commandLine = nacre.Origin{File: nacre.OriginCommandLine}

// ParseFiles reads PATH[:read|write][@INSIDE] or preset:NAME. The last "@/"
// begins INSIDE, and before it a last ":read" or ":write" is the access. A path
// that itself ends so must be followed by an explicit access; one that holds
// "@/" by an explicit INSIDE.
func ParseFiles(s string) (manifest.File, error) {
	f := manifest.File{Path: s, Access: nacre.Read, Origin: commandLine}
	if name, ok := strings.CutPrefix(s, "preset:"); ok {
		f.Path, f.Preset = "", name
		return f, f.Check()
	}
	if i := strings.LastIndex(s, "@/"); i >= 0 {
		f.Path, f.At = s[:i], s[i+1:]
	}
	if strings.HasSuffix(f.At, ":read") || strings.HasSuffix(f.At, ":write") || strings.HasSuffix(f.At, ":stage") {
		return f, fault.New(fault.Usage, "--files %q can be read in two ways", s).
			WithHint("the access comes before the place inside: PATH:read@/INSIDE")
	}
	if i := strings.LastIndexByte(f.Path, ':'); i >= 0 {
		var access nacre.Access
		word := f.Path[i+1:]
		switch near := remedy.Near(word, []string{"read", "write"}); {
		case access.UnmarshalText([]byte(word)) == nil && access != nacre.NoAccess:
			f.Path, f.Access = f.Path[:i], access
		case near != "" && !strings.EqualFold(word, near):
			return f, fault.New(fault.Usage, "--files %q: there is no access %q", s, word).
				WithHint("did you mean %q? A path that ends so is written with its access behind: %s:read", near, f.Path)
		}
	}
	if f.Path == "" {
		return f, fault.New(fault.Usage, "--files %q names no path", s).WithHint("write PATH[:read|write][@/INSIDE]")
	}
	return f, f.Check()
}

// ParseVariable reads NAME=VALUE, or NAME for the owner's own value.
func ParseVariable(s string) (string, manifest.Variable, error) {
	name, value, fixed := strings.Cut(s, "=")
	v := manifest.Variable{Value: value, Origin: commandLine}
	if !fixed {
		v.From = "owner"
	}
	return name, v, manifest.CheckVariable(name, v)
}

// ParseLimit reads NAME=AMOUNT into l.
func ParseLimit(l *manifest.Limits, s string) error {
	key, text, _ := strings.Cut(s, "=")
	for _, limit := range l.Each() {
		if limit.Name == key && text != "" {
			*limit.Amount = manifest.Amount{Text: manifest.Quantity(text), Origin: commandLine}
			return l.Check()
		}
	}
	var names []string
	for _, limit := range l.Each() {
		names = append(names, limit.Name)
	}
	f := fault.New(fault.Usage, "expected a limit such as memory=1GiB, found %q", s)
	if near := remedy.Near(key, names); near != "" && near != key {
		return f.WithHint("did you mean %q?", near)
	}
	return f.WithHint("the limits are %s", strings.Join(names, ", "))
}

// ParseTier reads the name of a lower tier.
func ParseTier(s string) (nacre.Tier, error) {
	if t := nacre.Tier(s); slices.Contains(compile.Tiers(), t) {
		return t, nil
	}
	return "", fault.New(fault.Usage, "there is no tier %q", s).WithHint("the tiers are %v", compile.Tiers())
}
