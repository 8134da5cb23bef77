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
	Version  int         `yaml:"version,required" match:"^1$" about:"the version of this grammar: 1"`
	Rules                // for every agent
	Upstream Upstream    `yaml:"upstream" about:"how gateways reach the Internet from here"`
	Signers  []string    `yaml:"skill-signers,some" match:"^RW[A-Za-z0-9+/]{54}$" about:"public keys (minisign), one of which must have signed a skill before it is used"`
	Agents   []AgentRule `yaml:"agents" about:"further rules, each for one agent only"`
	Origin   nacre.Origin
}

// Upstream is how gateways reach the Internet, where not directly.
type Upstream struct {
	Proxy       string   `yaml:"proxy" match:"^(http|socks5)://[A-Za-z0-9._:\\[\\]-]+:[0-9]{1,5}$" about:"such as http://proxy.example.com:3128 or socks5://127.0.0.1:1080"`
	Secret      string   `yaml:"secret" match:"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}$" about:"the secret with USER:PASSWORD for the proxy"`
	Authorities []string `yaml:"authorities,some" match:"^(/|~/)" about:"files (PEM) with certificates to trust outside, besides the system's"`
	KnownHosts  []string `yaml:"known-hosts,some" match:"^(/|~/)" about:"files with the keys of SSH servers, in place of ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts"`
	Resolvers   []string `yaml:"resolvers,some" match:"^([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$" about:"name servers to ask, as ADDRESS:PORT, in place of the machine's"`
	Origin      nacre.Origin
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
	Accept                []strict.Text `yaml:"accept" oneof:"limits-watchdog owner-uid no-landlock old-landlock masks-at-start core-socket" about:"named lower tiers of protection to go on with where this machine lacks a layer"`
	Deny                  Deny          `yaml:"deny" about:"never, whatever else allows it"`
	manifest.Capabilities               // inline
}

// FileRules say which folders may be granted.
type FileRules struct {
	Roots     []Root        `yaml:"roots" about:"folders that may be granted, with all below"`
	Presets   []strict.Text `yaml:"presets" about:"presets, whose places may be granted read-only"`
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
	Skills      []strict.Text `yaml:"skills" about:"skills, by name"`
}

// DenyHost is a host that nobody reaches.
type DenyHost struct {
	Host   string `yaml:"host,scalar,required" about:"a name, *.name for all below it, an address, or *"`
	Ports  []int  `yaml:"ports,some" about:"default: all"`
	Origin nacre.Origin
}

// Parse reads a policy. The file's name is only for messages and origins.
func Parse(file string, data []byte) (*Policy, error) {
	return strict.Decode(file, data, &Policy{})
}

// Check refuses rules that are for no one agent.
func (a *AgentRule) Check() error {
	if !manifest.One(a.Manifest, a.Digest, a.Lock) {
		return strict.Invalid(a.Origin, "agents: expected exactly one of manifest, digest, lock")
	}
	return a.Rules.Check()
}

// Check completes the defaults and refuses what cannot be meant.
func (r *Root) Check() error {
	f := manifest.File{Path: r.Path, Access: r.Access, Origin: r.Origin}
	if err := f.Check(); err != nil {
		return err
	}
	r.Access = f.Access
	_, err := Resolve(r.Path, "", "/", r.Origin)
	return err
}

// Check refuses what cannot be meant.
func (r *Rules) Check() error {
	for _, u := range r.Files.Unblocked {
		if !slices.Contains(builtIn, u.Value) {
			f := strict.Invalid(u.Origin, "unblocked: not one of the built-in names")
			f.Cause = &strict.Unknown{Word: u.Value, Known: builtIn}
			return f
		}
	}
	for _, b := range slices.Concat(r.Files.Blocked, r.Deny.Files) {
		if _, err := NewBlocked([]string{b.Value}); err != nil {
			return strict.Invalid(b.Origin, "%v", err)
		}
	}
	for _, n := range r.Deny.Network {
		if err := manifest.CheckHost(n.Origin, strings.TrimPrefix(n.Host, "*.")); err != nil && n.Host != "*" {
			return err
		}
	}
	for _, m := range r.Models {
		if m.Requests+m.Tokens+m.Cents+m.DayRequests+m.DayTokens+m.DayCents == 0 {
			return strict.Invalid(m.Origin, "models: expected a budget: requests, tokens or cents, of a run or per day")
		}
	}
	return nil
}

// Add adds more rules: lists grow, and what else is stated replaces what was.
func (r *Rules) Add(more Rules) { merge(reflect.ValueOf(r).Elem(), reflect.ValueOf(more)) }

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
