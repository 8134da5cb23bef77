// Package model knows as much of the APIs of language models as it takes to say
// which model a request is for, to bound what it may use, to count what it did
// use and what that cost, and to end a reply. What it knows of single providers
// is data.
package model

import (
	_ "embed"
	"maps"
	"slices"
	"strings"

	"nacre/fault"
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
	API       API               `yaml:"api,required" oneof:"anthropic openai gemini" about:"the family of its requests"`
	Host      string            `yaml:"host,required" about:"where it is"`
	Port      int               `yaml:"port" about:"default: 443"`
	Plain     bool              `yaml:"plain" about:"without TLS: on this machine only"`
	Slot      string            `yaml:"slot" about:"where its key goes; none: it has no key"`
	Variables map[string]string `yaml:"variables" about:"what tells programs inside; {BASE} is the address there"`
	Paths     []string          `yaml:"paths,required" about:"what may be asked"`
	Query     []string          `yaml:"query" about:"parameters that are passed on; no other is"`
	Bound     string            `yaml:"bound" about:"the field of Chat Completions that bounds an answer; default: max_tokens"`
}

//go:embed providers.yaml
var providers []byte

// Providers are those that are known, by name.
func Providers() (map[string]Provider, error) {
	var file struct {
		Providers map[string]Provider `yaml:"providers,required" about:"by name"`
	}
	err := strict.Decode("providers.yaml", providers, &file)
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
