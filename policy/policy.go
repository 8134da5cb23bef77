// Package policy is the owner's side: the grammar of policy.yaml, and the one
// evaluator of what it allows. The zero policy allows nothing.
package policy

import (
	"reflect"
	"slices"
	"strings"

	"nacre"
	"nacre/manifest"
	"nacre/strict"
)

// Policy is a parsed policy.yaml.
type Policy struct {
	Version int         `yaml:"version,required" about:"the version of this grammar: 1"`
	Rules               // for every agent
	Agents  []AgentRule `yaml:"agents" about:"further rules, each for one agent only"`
	Origin  nacre.Origin
}

// AgentRule is further rules for one agent.
type AgentRule struct {
	Manifest string `yaml:"manifest" about:"the agent's manifest, by its path on the owner's side"`
	Digest   string `yaml:"digest" match:"^sha256:[0-9a-f]{64}$" about:"the agent's manifest, by its digest: sha256:…"`
	Lock     string `yaml:"lock" about:"the agent, by its entry in nacre.lock"`
	Name     string `yaml:"name" refused:"an agent chooses its own name; bind the rules by manifest, digest or lock"`
	Rules
	Origin nacre.Origin
}

// Rules are what may be granted. What is not listed is denied.
type Rules struct {
	Files                 FileRules     `yaml:"files" about:"folders that may be granted, and names that may not"`
	Environment           []strict.Text `yaml:"environment" about:"variables whose value of the owner's may be passed in"`
	Images                []strict.Text `yaml:"images" about:"root file systems, as oci:NAME@sha256:…, directory:PATH, layout:PATH, archive:PATH; * stands for anything"`
	Accept                []strict.Text `yaml:"accept" oneof:"limits-watchdog owner-uid no-landlock old-landlock" about:"named lower tiers of protection to go on with where this machine lacks a layer"`
	Deny                  Deny          `yaml:"deny" about:"never, whatever else allows it"`
	manifest.Capabilities               // inline
}

// FileRules say which folders may be granted.
type FileRules struct {
	Roots     []Root        `yaml:"roots" about:"folders that may be granted, with all below"`
	Presets   []strict.Text `yaml:"presets" about:"read-only presets that may be granted"`
	Blocked   []strict.Text `yaml:"blocked" about:"names to mask in every granted folder, besides the built-in ones"`
	Unblocked []strict.Text `yaml:"unblocked" about:"built-in names not to mask, each exactly as built in"`
}

// Root is a folder that may be granted.
type Root struct {
	Path   string       `yaml:"path,scalar,required" about:"absolute, or below ~/"`
	Access nacre.Access `yaml:"access" oneof:"read write stage" about:"the most: read (default) or write; stage is reserved"`
	Reason string       `yaml:"reason" about:"why"`
	Origin nacre.Origin
}

// Deny is what beats every allowance. In names * stands for anything.
type Deny struct {
	Files       []strict.Text `yaml:"files" about:"paths (absolute or ~/…) and names, as in files.blocked"`
	Network     []DenyHost    `yaml:"network" about:"hosts"`
	Environment []strict.Text `yaml:"environment" about:"variables of the owner"`
	Images      []strict.Text `yaml:"images" about:"root file systems"`
	Secrets     []strict.Text `yaml:"secrets" about:"secrets, by name"`
	Models      []strict.Text `yaml:"models" about:"model providers"`
	Tools       []strict.Text `yaml:"tools" about:"tool servers"`
	Messages    []strict.Text `yaml:"messages" about:"channels and agents"`
	Schedule    []strict.Text `yaml:"schedule" about:"jobs, by name"`
	Devices     []strict.Text `yaml:"devices" about:"devices"`
	Syscalls    []strict.Text `yaml:"syscalls" about:"groups of system calls"`
}

// DenyHost is a host that nobody reaches.
type DenyHost struct {
	Host   string `yaml:"host,scalar,required" about:"a name, *.name for all below it, an address, or *"`
	Ports  []int  `yaml:"ports" about:"default: all"`
	Origin nacre.Origin
}

// Parse reads a policy. The file's name is only for messages and origins.
func Parse(file string, data []byte) (*Policy, error) {
	p := &Policy{}
	if err := strict.Decode(file, data, p); err != nil {
		return nil, err
	}
	if p.Version != 1 {
		return nil, manifest.Invalid(p.Origin, "version is %d; this Nacre knows version 1", p.Version)
	}
	if err := p.Rules.check(); err != nil {
		return nil, err
	}
	for i := range p.Agents {
		a := &p.Agents[i]
		if ways := slices.DeleteFunc([]string{a.Manifest, a.Digest, a.Lock}, func(s string) bool { return s == "" }); len(ways) != 1 {
			return nil, manifest.Invalid(a.Origin, "agents: expected exactly one of manifest, digest, lock")
		}
		if err := a.Rules.check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (r *Rules) check() error {
	for i := range r.Files.Roots {
		root := &r.Files.Roots[i]
		f := manifest.File{Path: root.Path, Access: root.Access, Origin: root.Origin}
		if err := f.Check(); err != nil {
			return err
		}
		root.Access = f.Access
		if _, err := Resolve(root.Path, "", "/", root.Origin); err != nil {
			return err
		}
	}
	for _, u := range r.Files.Unblocked {
		if !slices.Contains(builtIn, u.Value) {
			f := manifest.Invalid(u.Origin, "unblocked: %q is not one of the built-in names", u.Value)
			if near := strict.Near(u.Value, builtIn); near != "" {
				f = f.WithHint("did you mean %q?", near)
			}
			return f
		}
	}
	for _, b := range slices.Concat(r.Files.Blocked, r.Deny.Files) {
		if _, err := NewBlocked([]string{b.Value}); err != nil {
			return manifest.Invalid(b.Origin, "%v", err)
		}
	}
	for _, n := range r.Deny.Network {
		if err := manifest.CheckHost(n.Origin, strings.TrimPrefix(n.Host, "*.")); err != nil && n.Host != "*" {
			return err
		}
	}
	for _, m := range r.Models {
		if m.Requests+m.Tokens+m.Cents == 0 {
			return manifest.Invalid(m.Origin, "models: expected a budget: requests, tokens or cents")
		}
	}
	return r.Capabilities.Check()
}

// named is every allowance that is known by its name.
func (r *Rules) named() []manifest.Named {
	all := r.Capabilities.Named()
	for kind, texts := range map[nacre.Capability][]strict.Text{nacre.CapEnvironment: r.Environment,
		nacre.CapImage: r.Images, nacre.CapFiles: r.Files.Presets, capTier: r.Accept} {
		for _, t := range texts {
			all = append(all, manifest.Named{Capability: kind, Name: t.Value, Origin: t.Origin})
		}
	}
	return all
}

// names is what is denied by name.
func (d *Deny) names(c nacre.Capability) []strict.Text {
	return map[nacre.Capability][]strict.Text{
		nacre.CapEnvironment: d.Environment, nacre.CapImage: d.Images, nacre.CapSecrets: d.Secrets,
		nacre.CapModels: d.Models, nacre.CapTools: d.Tools, nacre.CapMessages: d.Messages,
		nacre.CapSchedule: d.Schedule, nacre.CapDevices: d.Devices, nacre.CapSyscalls: d.Syscalls,
	}[c]
}

// merge appends the lists of src to those of dst; what else src states
// replaces what dst has.
func merge(dst, src reflect.Value) {
	for i := range dst.NumField() {
		d, s := dst.Field(i), src.Field(i)
		switch {
		case s.IsZero():
		case s.Kind() == reflect.Slice:
			d.Set(reflect.AppendSlice(d, s))
		case s.Kind() == reflect.Struct && s.Type() != reflect.TypeFor[manifest.Amount]():
			merge(d, s)
		default:
			d.Set(s)
		}
	}
}
