package strict

import (
	"encoding"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre"
)

// decoder turns checked nodes into values. Every error is a *fault.Fault.
type decoder struct{ file string }

// value sets v from n, whatever v's type.
func (d decoder) value(n *yaml.Node, v reflect.Value) error {
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return d.text(n, text)
	}
	switch v.Kind() {
	case reflect.Struct:
		err := d.structure(n, v)
		if c, ok := v.Addr().Interface().(interface{ Check() error }); ok && err == nil {
			err = c.Check()
		}
		return err
	case reflect.Map:
		return d.mapping(n, v)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return d.wrong(n, "a list")
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, c := range n.Content {
			if err := d.value(c, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	default:
		return d.scalar(n, v)
	}
}

func (d decoder) text(n *yaml.Node, v encoding.TextUnmarshaler) error {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return d.wrong(n, "a value")
	}
	if err := v.UnmarshalText([]byte(n.Value)); err != nil {
		return d.node(n, "%v", err)
	}
	return nil
}

func (d decoder) scalar(n *yaml.Node, v reflect.Value) error {
	tag := n.Tag
	switch v.Kind() {
	case reflect.String:
		if n.Kind != yaml.ScalarNode || tag != "!!str" && tag != "!!timestamp" {
			return d.wrong(n, "text")
		}
		v.SetString(n.Value)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if n.Kind != yaml.ScalarNode || tag != "!!bool" || err != nil {
			return d.wrong(n, "true or false")
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if n.Kind != yaml.ScalarNode || tag != "!!int" || err != nil {
			return d.wrong(n, "a whole number")
		}
		v.SetInt(i)
	default:
		panic("strict: no decoder for " + v.Type().String())
	}
	return nil
}

func (d decoder) mapping(n *yaml.Node, v reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return d.wrong(n, "keys and values")
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i < len(n.Content); i += 2 {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(n.Content[i+1], item); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value), item)
	}
	return nil
}

func (d decoder) structure(n *yaml.Node, v reflect.Value) error {
	if o := v.FieldByName("Origin"); o.IsValid() {
		o.Set(reflect.ValueOf(nacre.Origin{File: d.file, Line: n.Line, Column: n.Column}))
	}
	fields := Fields(v.Type())
	if i := slices.IndexFunc(fields, func(f Field) bool { return f.Scalar }); i >= 0 && n.Kind == yaml.ScalarNode {
		return d.field(n, v, fields[i])
	}
	keyed := slices.ContainsFunc(fields, func(f Field) bool { return f.Name != "" })
	if n.Kind != yaml.MappingNode || !keyed {
		return d.wrong(n, map[bool]string{true: "keys and values", false: "text"}[keyed])
	}
	missing := slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return !f.Required })
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		at := slices.IndexFunc(fields, func(f Field) bool { return f.Name == key.Value && f.Name != "" })
		if at < 0 {
			return d.unknown(key, fields)
		}
		if why := fields[at].Refused; why != "" {
			return d.node(key, "the key %q is refused: %s", key.Value, why)
		}
		if err := d.field(n.Content[i+1], v, fields[at]); err != nil {
			return err
		}
		missing = slices.DeleteFunc(missing, func(f Field) bool { return f.Name == key.Value })
	}
	if len(missing) > 0 {
		return d.node(n, "the key %q is missing: %s", missing[0].Name, missing[0].About)
	}
	return nil
}

func (d decoder) field(n *yaml.Node, v reflect.Value, f Field) error {
	if err := d.value(n, v.FieldByIndex(f.Index)); err != nil {
		return err
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
		if f.Some && len(items) == 0 {
			return d.node(n, "%s is empty, which allows nothing", f.Name)
		}
	}
	for _, c := range items {
		if len(f.OneOf) > 0 && !slices.Contains(f.OneOf, c.Value) {
			return d.node(c, "expected one of %s; found %q", strings.Join(f.OneOf, ", "), c.Value)
		}
		if f.Match != "" && !regexp.MustCompile(f.Match).MatchString(c.Value) {
			return d.node(c, "%s: expected %s; found %q", f.Name, f.About, clip(c.Value))
		}
	}
	return nil
}

// unknown refuses a key; its cause lists those that are known.
func (d decoder) unknown(key *yaml.Node, fields []Field) error {
	u := &Unknown{Word: key.Value}
	for _, f := range fields {
		if f.Name != "" && f.Refused == "" {
			u.Known = append(u.Known, f.Name)
		}
	}
	f := d.node(key, "unknown key")
	f.Cause = u
	return f.WithHint("the keys here are %s", strings.Join(u.Known, ", "))
}

func (d decoder) wrong(n *yaml.Node, want string) error {
	fault := d.node(n, "expected %s, found %s", want, found(n))
	switch {
	case n.Tag == "!!null" && n.Value == "~":
		return fault.WithHint(`a bare ~ means nothing in YAML; write "~" in quotes`)
	case n.Kind == yaml.ScalarNode && want == "text" && n.Tag != "!!null":
		return fault.WithHint("put it in quotes: %q", n.Value)
	case want == "a list" && n.Tag == "!!null":
		return fault.WithHint("write [] for an empty list, which allows nothing, or leave the key out")
	}
	return fault
}

// found says what a node is, for people.
func found(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing (null)"
	case n.Tag == "!!bool", n.Tag == "!!int", n.Tag == "!!float":
		return "the " + map[string]string{"!!bool": "word ", "!!int": "number ", "!!float": "number "}[n.Tag] + clip(n.Value)
	default:
		return "the text " + strconv.Quote(clip(n.Value))
	}
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
