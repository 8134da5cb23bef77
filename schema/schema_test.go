package schema

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"nacre/manifest"
	"nacre/policy"
	"nacre/strict"
)

func parse(t *testing.T, make func() ([]byte, error)) map[string]any {
	t.Helper()
	b, err := make()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// valid is a judge of the part of JSON Schema that we use.
func valid(s map[string]any, v any) bool {
	if ways, ok := s["anyOf"].([]any); ok {
		return slices.ContainsFunc(ways, func(one any) bool { return valid(one.(map[string]any), v) })
	}
	types, ok := s["type"].([]any)
	if !ok {
		types = []any{s["type"]}
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, k := range required {
			if _, has := v[k.(string)]; !has {
				return false
			}
		}
		for k, item := range v {
			p, known := properties[k].(map[string]any)
			if more, ok := s["additionalProperties"].(map[string]any); !known && ok {
				p, known = more, true
			}
			if !known || !valid(p, item) {
				return false
			}
		}
		return slices.Contains(types, any("object"))
	case []any:
		items, _ := s["items"].(map[string]any)
		for _, item := range v {
			if !valid(items, item) {
				return false
			}
		}
		return slices.Contains(types, any("array"))
	case string:
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, any(v)) {
			return false
		}
		if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			return false
		}
		return slices.Contains(types, any("string"))
	case bool:
		return slices.Contains(types, any("boolean"))
	case int, float64:
		return slices.Contains(types, any("integer")) || slices.Contains(types, any("number"))
	}
	return false
}

func TestExamples(t *testing.T) {
	agent := func(b []byte) error { _, err := manifest.Parse("f", b); return err }
	rules := func(b []byte) error { _, err := policy.Parse("f", b); return err }
	for _, c := range []struct {
		name   string
		make   func() ([]byte, error)
		decode func([]byte) error
		texts  map[string]bool
	}{
		{"agent", Agent, agent, map[string]bool{
			file(t, "agent.yaml"): true, "version: 1\nname: a": true, "name: a": false, "version: 1\nname: a\nimage: host": true, "version: 1\nname: a\nimage: other": false,
			"version: 1\nname: a\nfiles: [x, {path: y}]": true, "version: 1\nname: a\nfiles: [{pth: y}]": false, "version: 1\nname: a\nfiles: y": false,
			"version: 1\nname: a\nlimits: {memory: 50000000, cpus: 1.5, time: 3s}": true, "version: 1\nname: a\nlimits: {memory: [5]}": false,
			"version: 1\nname: a\nenvironment: {A: b, C: {from: owner}}": true, "version: 1\nname: a\nenvironment: {A: {from: me}}": false,
			"version: 1\nname: a\nnetwork: [{host: a.io, methods: [get]}]": false, "version: 1\nname: a\ntools: [{server: s}]": false}},
		{"policy", Policy, rules, map[string]bool{file(t, "policy.yaml"): true, "version: 1": true, "{}": false, "version: 1\nagents: [{name: a}]": false,
			"version: 1\nfiles: {roots: [/a, {path: /b, access: write}]}": true, "version: 1\nfiles: {roots: [{access: write}]}": false,
			"version: 1\naccept: [limits-watchdog]": true, "version: 1\naccept: [all]": false, "version: 1\ndeny: {network: [a.io, {host: b.io, ports: [1]}]}": true}},
	} {
		s := parse(t, c.make)
		for text, want := range c.texts {
			var v any
			if err := yaml.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			if got := valid(s, v); got != want {
				t.Errorf("%s: by the schema %v, want %v:\n%s", c.name, got, want, text)
			}
			if err := c.decode([]byte(text)); (err == nil) != want {
				t.Errorf("%s: by the decoder %v, want %v:\n%s", c.name, err, want, text)
			}
		}
	}
}

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../compile/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every key is in the schema and says what it means.
func TestEveryKeyIsDescribed(t *testing.T) {
	for make, top := range map[*map[string]any]reflect.Type{
		ptr(parse(t, Agent)): reflect.TypeFor[manifest.Manifest](), ptr(parse(t, Policy)): reflect.TypeFor[policy.Policy](),
	} {
		described(t, *make, top)
	}
}

func ptr(m map[string]any) *map[string]any { return &m }

func described(t *testing.T, s map[string]any, typ reflect.Type) {
	t.Helper()
	switch typ.Kind() {
	case reflect.Slice:
		described(t, s["items"].(map[string]any), typ.Elem())
	case reflect.Map:
		described(t, s["additionalProperties"].(map[string]any), typ.Elem())
	case reflect.Struct:
		if ways, ok := s["anyOf"].([]any); ok {
			s = ways[1].(map[string]any)
		}
		properties, _ := s["properties"].(map[string]any)
		for _, f := range strict.Fields(typ) {
			if f.Name == "" || f.Tag.Get("refused") != "" {
				continue
			}
			p, ok := properties[f.Name].(map[string]any)
			if !ok || f.Tag.Get("about") == "" || p["description"] != f.Tag.Get("about") {
				t.Errorf("%v: the key %q is missing or not described", typ, f.Name)
				continue
			}
			described(t, p, f.Type)
		}
	}
}
