// Package strictjson reads JSON that a stranger has written: so that nobody who reads
// it again reads something else than what was decided upon.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxDepth  = 64
	maxValues = 100_000 // in one message: many small ones need more memory than bytes
)

// Parse reads one JSON value: no key twice in an object, no invalid UTF-8, nothing
// after it, bounded in depth and number of values. With folded, keys that differ
// only in case count as one.
func Parse(b []byte, folded bool) (any, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("the message is not UTF-8")
	}
	if !json.Valid(b) {
		return nil, errSyntax
	}
	p := &parser{from: json.NewDecoder(bytes.NewReader(b)), folded: folded}
	p.from.UseNumber()
	return p.value(0)
}

type parser struct {
	from   *json.Decoder
	folded bool
	values int
}

var errSyntax = errors.New("the message is not one JSON value")

func (p *parser) value(depth int) (any, error) {
	if p.values++; p.values > maxValues {
		return nil, fmt.Errorf("the message has over %d values", maxValues)
	}
	t, err := p.from.Token()
	if err != nil {
		return nil, errSyntax
	}
	delim, ok := t.(json.Delim)
	switch {
	case !ok:
		return t, nil
	case depth >= maxDepth:
		return nil, fmt.Errorf("the message is nested deeper than %d", maxDepth)
	case delim == '[':
		return p.array(depth)
	case delim == '{':
		return p.object(depth)
	}
	return nil, errSyntax
}

func (p *parser) array(depth int) (any, error) {
	list := []any{}
	for p.from.More() {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.from.Token()
	if err != nil {
		return nil, errSyntax
	}
	return list, nil
}

func (p *parser) object(depth int) (any, error) {
	fields, seen := map[string]any{}, map[string]bool{}
	for p.from.More() {
		t, err := p.from.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errSyntax
		}
		same := name
		if p.folded {
			same = fold(name)
		}
		if seen[same] {
			return nil, fmt.Errorf("the key %.40q is there twice", name)
		}
		seen[same] = true
		if fields[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	if _, err := p.from.Token(); err != nil {
		return nil, errSyntax
	}
	return fields, nil
}

// fold is the same for names that a reader might take for one another.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// Decode reads one JSON object into a struct: keys that it has, spelled as they are,
// and no null.
func Decode(b []byte, into any) error {
	v, err := Parse(b, true)
	if err == nil {
		err = exact(v, reflect.TypeOf(into).Elem())
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// exact refuses keys that a type has not: json.Unmarshal takes others for them.
func exact(v any, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case nil:
		return errors.New("null says nothing here")
	case []any:
		if t.Kind() != reflect.Slice {
			return errors.New("there is a list where none is expected")
		}
		for _, item := range v {
			if err := exact(item, t.Elem()); err != nil {
				return err
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return errors.New("there is an object where none is expected")
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			field, ok := fieldOf(t, name)
			if !ok {
				return fmt.Errorf("the key %.40q is not known here", name)
			}
			if err := exact(v[name], field.Type); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// fieldOf is the field of a struct that has a key.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == key && name != "-" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// Write is a value as JSON, always the same for the same value.
func Write(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
