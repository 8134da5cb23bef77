// Package provider speaks the interfaces of language models, by the SDKs of those
// who made them: Anthropic Messages, OpenAI Chat Completions and Responses, Gemini.
// Where the model is, and with which key, is in the variables that each SDK looks
// at; in a sandbox the gateway sets them, and the key is none.
package provider

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"nacre/assistant"
	"nacre/fault"
)

// The interfaces.
const (
	Anthropic = "anthropic"
	Responses = "openai"      // OpenAI's own
	Chat      = "openai-chat" // OpenAI's older one, which local models speak
	Gemini    = "gemini"
)

// kind is one interface: which variables tell that it is meant, which model is
// taken where none is named, and how it is spoken.
type kind struct {
	name      string
	variables []string
	models    []string // variables with a model's name
	model     string
	speak     func(model string) (assistant.Provider, error)
}

func kinds() []kind {
	return []kind{
		{Anthropic, []string{"ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}, []string{"ANTHROPIC_MODEL"}, "claude-sonnet-4-5", newMessages},
		{Responses, []string{"OPENAI_BASE_URL", "OPENAI_API_KEY"}, []string{"OPENAI_MODEL"}, "gpt-5", newResponses},
		{Gemini, []string{"GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY"}, []string{"GEMINI_MODEL"}, "gemini-2.5-flash", newGemini},
		{Chat, nil, []string{"OPENAI_MODEL"}, "", newChat},
	}
}

// vendors are base addresses of OpenAI's variables that lead to OpenAI; behind
// any other is a model that speaks Chat Completions.
var vendors = []string{"", "https://api.openai.com", "http://openai.model.nacre.internal"}

// Names are the interfaces that New knows.
func Names() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// New speaks with a model. Without a name for the interface, the environment
// tells which is meant. Errors: Usage.
func New(name, model string) (p assistant.Provider, provider, is string, err error) {
	if name == "" {
		name = meant()
	}
	for _, k := range kinds() {
		if k.name != name {
			continue
		}
		for _, v := range k.models {
			if model == "" {
				model = os.Getenv(v)
			}
		}
		if model == "" {
			model = k.model
		}
		if model == "" {
			return nil, "", "", fault.New(fault.Usage, "no model is named").WithHint("--model NAME, or $%s", strings.Join(k.models, " or $"))
		}
		p, err := k.speak(model)
		return p, name, model, err
	}
	if name == "" {
		return nil, "", "", fault.New(fault.Usage, "nothing says where a model is").
			WithHint("in a sandbox: grant one (models: in the manifest); else set ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY or OPENAI_BASE_URL")
	}
	return nil, "", "", fault.New(fault.Usage, "there is no provider %q", name).WithHint("known are %s", strings.Join(Names(), ", "))
}

// meant is the interface that the environment speaks of.
func meant() string {
	for _, k := range kinds() {
		if !slices.ContainsFunc(k.variables, func(v string) bool { return os.Getenv(v) != "" }) {
			continue
		}
		base := strings.TrimSuffix(strings.TrimSuffix(os.Getenv("OPENAI_BASE_URL"), "/"), "/v1")
		if k.name == Responses && !slices.Contains(vendors, base) {
			return Chat
		}
		return k.name
	}
	return ""
}

// object is a call's arguments as an object: what a model wrote that is none
// would break the whole conversation.
func object(args string) json.RawMessage {
	var v map[string]json.RawMessage
	switch {
	case strings.TrimSpace(args) == "":
		return json.RawMessage("{}")
	case json.Unmarshal([]byte(args), &v) != nil || v == nil:
		b, _ := json.Marshal(map[string]string{"unreadable": args}) // a text
		return b
	}
	return json.RawMessage(args)
}

// schema is a tool's, as a map.
func schema(t assistant.Declared) (map[string]any, error) {
	var v map[string]any
	if err := json.Unmarshal(t.Schema, &v); err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", t.Name, err)
	}
	return v, nil
}

// told is a result as a text, for interfaces that have no place for failures.
func told(r assistant.Result) string {
	if r.Failed {
		return "failed: " + r.Text
	}
	return r.Text
}
