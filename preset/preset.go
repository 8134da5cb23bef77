// Package preset names destinations that people need on the first day. A preset
// is a file of entries as a manifest has them, and becomes these entries before
// anything is decided: in a manifest it asks for them, in a policy it allows
// them. It can allow nothing that could not be written out.
package preset

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nacre/egress"
	"nacre/manifest"
	"nacre/policy"
	"nacre/strict"
)

//go:embed network/*.yaml
var files embed.FS

// Names lists the presets.
func Names() (names []string) {
	entries, err := fs.ReadDir(files, "network")
	if err != nil { // it is part of the program
		panic(err)
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Text is a preset's file.
func Text(name string) string {
	b, err := files.ReadFile(path.Join("network", name+".yaml"))
	if err != nil || strings.ContainsAny(name, "/.") {
		return ""
	}
	return string(b)
}

// Manifest puts what its presets stand for into a manifest.
func Manifest(m *manifest.Manifest) (err error) {
	m.Network, err = expand(m.Network)
	return err
}

// Policy puts what its presets stand for into a policy.
func Policy(p *policy.Policy) (err error) {
	if p == nil {
		return nil
	}
	if p.Network, err = expand(p.Network); err != nil {
		return err
	}
	for i := range p.Agents {
		if p.Agents[i].Network, err = expand(p.Agents[i].Network); err != nil {
			return err
		}
	}
	return nil
}

// list is a preset's file.
type list struct {
	Network []manifest.Network `yaml:"network,required,some" about:"what the preset stands for"`
}

func expand(asked []manifest.Network) (all []manifest.Network, err error) {
	for _, n := range asked {
		if n.Preset == "" {
			all = append(all, n)
			continue
		}
		if !slices.Contains(Names(), n.Preset) {
			f := strict.Invalid(n.Origin, "network: there is no preset").WithHint("the presets are %s", strings.Join(Names(), ", "))
			f.Cause = &strict.Unknown{Word: n.Preset, Known: Names()}
			return nil, f
		}
		if n.Host+n.Scheme+n.As+n.TLS+n.Access != "" || n.Methods != nil || n.Upgrade != nil || n.Ports != nil {
			return nil, strict.Invalid(n.Origin, "network: with a preset there can be paths, push and limits, and nothing else")
		}
		l, err := strict.Decode("preset "+n.Preset, []byte(Text(n.Preset)), &list{})
		if err != nil {
			return nil, err
		}
		for _, e := range l.Network {
			narrowed, err := narrow(e, n)
			if err != nil {
				return nil, err
			}
			all = append(all, narrowed)
		}
	}
	return all, nil
}

// narrow is an entry of a preset, as the entry that names the preset has it.
func narrow(n, by manifest.Network) (manifest.Network, error) {
	n.Origin, n.Reason = by.Origin, by.Reason
	n.Bytes, n.Rate, n.Connections = by.Bytes, by.Rate, by.Connections
	if by.Paths != nil {
		n.Paths = by.Paths
	}
	if by.Push != nil && slices.Contains(n.Methods, egress.Fetch) {
		n.Push, n.Methods = by.Push, append(slices.Clone(n.Methods), egress.Push)
	}
	return n, n.Check()
}
