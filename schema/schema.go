// Package schema writes the JSON Schema (draft 2020-12) of the files that
// people write, from the same struct tags that drive the strict decoder.
package schema

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"nacre/manifest"
	"nacre/policy"
	"nacre/strict"
)

// Agent is the schema of agent.yaml.
func Agent() ([]byte, error) {
	return Of(reflect.TypeFor[manifest.Manifest](), "Nacre agent manifest (agent.yaml)")
}

// Policy is the schema of policy.yaml.
func Policy() ([]byte, error) {
	return Of(reflect.TypeFor[policy.Policy](), "Nacre policy (policy.yaml)")
}

type object = map[string]any

// Of is the schema of a file that is read into a type.
func Of(t reflect.Type, title string) ([]byte, error) {
	s := describe(t)
	s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", title
	return json.MarshalIndent(s, "", "  ")
}

var textual = reflect.TypeFor[encoding.TextUnmarshaler]()

// describe is the schema of whatever decodes into a type.
func describe(t reflect.Type) object {
	if reflect.PointerTo(t).Implements(textual) {
		return object{"type": []string{"string", "number"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return structure(t)
	case reflect.Slice:
		return object{"type": "array", "items": describe(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": describe(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	default:
		return object{"type": "string"}
	}
}

// structure is an object with no other keys, or the bare value that stands for it.
func structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	var bare object
	for _, f := range strict.Fields(t) {
		if f.Tag.Get("refused") != "" {
			continue
		}
		s := field(f)
		if f.Is("scalar") {
			bare = maps.Clone(s)
		}
		if f.Name != "" {
			properties[f.Name] = s
		}
		if f.Is("required") {
			required = append(required, f.Name)
		}
	}
	whole := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		whole["required"] = required
	}
	switch {
	case bare == nil:
		return whole
	case len(properties) == 0:
		return bare
	default:
		return object{"anyOf": []object{bare, whole}}
	}
}

// field is the schema of a field's type, narrowed by its tags.
func field(f strict.Field) object {
	s := describe(f.Type)
	inner := s
	if f.Type.Kind() == reflect.Slice {
		inner = s["items"].(object)
	}
	if oneOf := strings.Fields(f.Tag.Get("oneof")); len(oneOf) > 0 {
		inner["enum"], inner["type"] = oneOf, "string"
	}
	if match := f.Tag.Get("match"); match != "" && inner["type"] == "string" {
		inner["pattern"] = match
	}
	if f.Is("some") {
		s["minItems"] = 1
	}
	if about := f.Tag.Get("about"); about != "" {
		s["description"] = about
	}
	return s
}
