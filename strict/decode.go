package strict

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre"
)

// decoder turns nodes into values. It keeps the first fault, after which nothing
// that it made counts.
type decoder struct {
	file string
	err  error
}

// value sets v from n, whatever v's type.
func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	text, textual := v.Addr().Interface().(encoding.TextUnmarshaler)
	checked, _ := v.Addr().Interface().(interface{ Check() error })
	switch kind := v.Kind(); {
	case textual && (n.Kind != yaml.ScalarNode || n.Tag == "!!null"):
		d.wrong(n, "a value")
	case textual:
		if err := text.UnmarshalText([]byte(n.Value)); err != nil {
			d.node(n, "%v", err)
		}
	case kind == reflect.Struct:
		if d.structure(n, v); d.err == nil && checked != nil {
			d.err = checked.Check()
		}
	case kind == reflect.Map:
		d.mapping(n, v)
	case kind == reflect.Slice && n.Kind != yaml.SequenceNode:
		d.wrong(n, "a list")
	case kind == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, c := range n.Content {
			d.value(c, v.Index(i))
		}
	default:
		d.scalar(n, v)
	}
}

// scalars are the tags that YAML gives to what decodes into a kind, and its name.
// Into a kind that is not here, nothing does.
var scalars = map[reflect.Kind][2]string{reflect.String: {"!!str !!timestamp", "text"}, reflect.Bool: {"!!bool", "true or false"},
	reflect.Int: {"!!int", "a whole number"}, reflect.Int64: {"!!int", "a whole number"}}

// scalar accepts each value in its plainest spelling only: no 0x10, no True.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	kind := scalars[v.Kind()]
	if n.Kind != yaml.ScalarNode || !strings.Contains(kind[0], n.Tag) || n.Decode(v.Addr().Interface()) != nil || fmt.Sprint(v) != n.Value {
		d.wrong(n, kind[1])
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, "keys and values")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i < len(n.Content); i += 2 {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], item)
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value), item)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value) {
	if o := v.FieldByName("Origin"); o.IsValid() {
		o.Set(reflect.ValueOf(nacre.Origin{File: d.file, Line: n.Line, Column: n.Column}))
	}
	fields := Fields(v.Type())
	names := []string{}
	for _, f := range fields {
		if f.Is("scalar") && n.Kind == yaml.ScalarNode {
			d.field(n, v, f)
			return
		}
		if f.Name != "" && f.Tag.Get("refused") == "" {
			names = append(names, f.Name)
		}
	}
	if n.Kind != yaml.MappingNode || len(names) == 0 {
		d.wrong(n, map[bool]string{true: "keys and values", false: "text"}[len(names) > 0])
		return
	}
	given := map[string]bool{"": true}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		at := slices.IndexFunc(fields, func(f Field) bool { return f.Name == key.Value && f.Name != "" })
		if at < 0 {
			f := d.node(key, "unknown key")
			f.Cause = &Unknown{key.Value, names}
			f.WithHint("the keys here are %s", strings.Join(names, ", "))
			return
		}
		if why := fields[at].Tag.Get("refused"); why != "" {
			d.node(key, "the key %q is refused: %s", key.Value, why)
		}
		d.field(n.Content[i+1], v, fields[at])
		given[key.Value] = true
	}
	for _, f := range fields {
		if f.Is("required") && !given[f.Name] {
			d.node(n, "the key %q is missing: %s", f.Name, f.Tag.Get("about"))
		}
	}
}

// field decodes one key's value, and holds it to what the tags say.
func (d *decoder) field(n *yaml.Node, v reflect.Value, f Field) {
	d.value(n, v.FieldByIndex(f.Index))
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if f.Is("some") && len(items) == 0 {
		d.node(n, "%s is empty, which allows nothing", f.Name)
	}
	oneOf, match := strings.Fields(f.Tag.Get("oneof")), regexp.MustCompile(f.Tag.Get("match"))
	for _, c := range items {
		if len(oneOf) > 0 && !slices.Contains(oneOf, c.Value) {
			d.node(c, "expected one of %s; found %q", strings.Join(oneOf, ", "), c.Value)
		}
		if !match.MatchString(c.Value) {
			d.node(c, "%s: expected %s; found %.60q", f.Name, f.Tag.Get("about"), c.Value)
		}
	}
}

func (d *decoder) wrong(n *yaml.Node, want string) {
	fault := d.node(n, "expected %s, found %s", want, found(n))
	switch {
	case n.Tag == "!!null" && n.Value == "~":
		fault.WithHint(`a bare ~ means nothing in YAML; write "~" in quotes`)
	case n.Kind == yaml.ScalarNode && want == "text" && n.Tag != "!!null":
		fault.WithHint("put it in quotes: %q", n.Value)
	case want == "a list" && n.Tag == "!!null":
		fault.WithHint("write [] for an empty list, which allows nothing, or leave the key out")
	}
}

// forms say what a node is, for people, by its tag; all else is text.
var forms = map[string]string{"!!map": "keys and values%.0s", "!!seq": "a list%.0s", "!!null": "nothing (null)%.0s",
	"!!bool": "the word %s", "!!int": "the number %.60s", "!!float": "the number %.60s"}

func found(n *yaml.Node) string {
	return fmt.Sprintf(cmp.Or(forms[n.ShortTag()], "the text %.60q"), n.Value)
}
