// Package model knows as much of the APIs of language models as it takes to say
// which model a request is for, to bound what it may use, to count what it did
// use and what that cost, and to end a reply. What it knows of single providers
// is data.
package model

import (
	_ "embed"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/pattern"
	"nacre/remedy"
	"nacre/strict"
)

// API is a family of requests and replies.
type API string

// The families.
const (
	Anthropic API = "anthropic" // Messages
	OpenAI    API = "openai"    // Chat Completions and Responses, and whatever is compatible
	Gemini    API = "gemini"    // generateContent
)

// Provider is somebody who runs models.
type Provider struct {
	Origin    nacre.Origin      // where it is written
	API       API               `yaml:"api,required" oneof:"anthropic openai gemini" about:"the family of its requests"`
	Host      string            `yaml:"host,required" match:"^[a-z0-9:]([a-z0-9.:-]{0,251}[a-z0-9])?$" about:"where it is: a name, or an address"`
	Port      int               `yaml:"port" match:"^[0-9]{1,5}$" about:"default: 443"`
	Plain     bool              `yaml:"plain" about:"without TLS: at a loopback address or, without a key, at a private one"`
	Slot      string            `yaml:"slot" match:"^(bearer|(header|query):[A-Za-z0-9_-]{1,64})$" about:"where its key goes; none: it has no key"`
	Variables map[string]string `yaml:"variables" about:"what tells programs inside; {BASE} is the address there"`
	Paths     []string          `yaml:"paths,required" match:"^/[A-Za-z0-9._~*/-]{0,200}$" about:"what may be asked"`
	Query     []string          `yaml:"query" match:"^[A-Za-z0-9_.-]{1,64}$" about:"parameters that are passed on; no other is"`
	Bound     string            `yaml:"bound" match:"^[a-z_]{1,64}$" about:"the field of Chat Completions that bounds an answer; default: max_tokens"`
}

// Check refuses what goes together badly.
func (p *Provider) Check() error {
	at, err := netip.ParseAddr(p.Host)
	switch {
	case err != nil && (strings.Contains(p.Host, ":") || p.Host == "localhost"):
		return strict.Invalid(p.Origin, "host: expected a name outside or an address, found %q", p.Host).WithHint("this machine is 127.0.0.1; the port is a key of its own")
	case p.Port > 65535:
		return strict.Invalid(p.Origin, "port: expected at most 65535, found %d", p.Port)
	case p.Plain && !(at.IsLoopback() || at.IsPrivate() && p.Slot == ""):
		return strict.Invalid(p.Origin, "plain: only at a loopback address or, without a slot, at a private one: what goes elsewhere goes through TLS")
	}
	for name := range p.Variables {
		if len(name) > longest || !variable().MatchString(name) {
			return strict.Invalid(p.Origin, "variables: expected names like OPENAI_BASE_URL, found %q", name)
		}
	}
	return nil
}

// longest is how long names may be, in bytes: a provider's is part of a host's. (In the
// patterns it would cost every start of nacre a quarter of a millisecond.)
const longest = 63

var (
	variable = pattern.Of(`^[A-Z][A-Z0-9_]*$`)
	called   = pattern.Of(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

//go:embed providers.yaml
var providers []byte

// Providers are those that are known, by name.
func Providers() (map[string]Provider, error) { return parseProviders(nacre.OriginBuiltIn, providers) }

// ParseProviders reads an owner's own, which come beside those that are known. One on
// this machine may stand in the place of a known one there; no other.
func ParseProviders(name string, b []byte) (map[string]Provider, error) {
	own, err := parseProviders(name, b)
	if err != nil {
		return nil, err
	}
	known, err := Providers()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		p := own[name]
		if len(name) > longest || !called().MatchString(name) {
			return nil, strict.Invalid(p.Origin, "providers: expected a name of small letters, digits, dots and hyphens, found %q", name)
		}
		if was, ok := known[name]; ok && !was.Plain {
			return nil, strict.Invalid(p.Origin, "providers: %s is known, and where it is cannot be changed: its key would go there", name).WithHint("give yours another name, and keep its key under that")
		}
	}
	return own, nil
}

func parseProviders(name string, b []byte) (map[string]Provider, error) {
	var file struct {
		Providers map[string]Provider `yaml:"providers,required" about:"by name"`
	}
	_, err := strict.Decode(name, b, &file)
	return file.Providers, err
}

// Known refuses a name that is no provider's, and says which there are.
func Known(name string, providers map[string]Provider) error {
	if _, ok := providers[name]; ok {
		return nil
	}
	names := slices.Sorted(maps.Keys(providers))
	f := fault.New(fault.Unsupported, "no provider %q of models is known", name)
	if near := remedy.Near(name, names); near != "" {
		return f.WithHint("did you mean %q? Known are %s", near, strings.Join(names, ", "))
	}
	return f.WithHint("known are %s", strings.Join(names, ", "))
}

// Inside is the name that a provider has inside a sandbox.
func Inside(provider string) string { return strings.ToLower(provider) + ".model.nacre.internal" }
