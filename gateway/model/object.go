package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// object is a JSON object in which no key is there twice.
type object struct {
	values map[string]json.RawMessage
	names  map[string]string // as they are written, by what they may be taken for
}

// readObject reads an object, and sees to it that no key in it is there twice.
func readObject(b []byte) (object, error) {
	o := object{map[string]json.RawMessage{}, map[string]string{}}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return o, errors.New("is not a JSON object")
	}
	notJSON := errors.New("is not JSON")
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return o, notJSON
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return o, notJSON
		}
		if _, twice := o.names[fold(name)]; twice {
			return o, fmt.Errorf("has the key %.40q, which is there twice", name)
		}
		o.names[fold(name)], o.values[name] = name, value
	}
	if _, err := d.Token(); err != nil {
		return o, notJSON
	}
	if _, err := d.Token(); err != io.EOF {
		return o, errors.New("is followed by something")
	}
	return o, nil
}

// fold is the same for names that a reader might take for one another: in
// another case, or with underscores, as Google's readers do.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' {
			return -1
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// raw is a value by its name; nil: there is none, or nothing in it. A name that
// is written in a way that the reader outside may not know is an error: what it
// says would count here, and not there.
func (o object) raw(name string) (json.RawMessage, error) {
	written, ok := o.names[fold(name)]
	if !ok {
		return nil, nil
	}
	if written != name && written != snake(name) {
		return nil, fmt.Errorf("%.40q is not how %s is written", written, name)
	}
	if raw := o.values[written]; string(raw) != "null" {
		return raw, nil
	}
	return nil, nil
}

// snake is the other way in which Google's readers take a name.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// get decodes a value, if it is there.
func (o object) get(name string, into any) error {
	raw, err := o.raw(name)
	if raw == nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// object is a value that is one; an empty one if it is not there.
func (o object) object(name string) (object, error) {
	raw, err := o.raw(name)
	if err != nil {
		return object{}, err
	}
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	inner, err := readObject(raw)
	if err != nil {
		return inner, fmt.Errorf("%s in the request %w", name, err)
	}
	return inner, nil
}

// set puts a value in the place of what is there.
func (o object) set(name string, value any) {
	b, _ := json.Marshal(value) // numbers, truth, and what was JSON before
	if written, ok := o.names[fold(name)]; ok {
		name = written
	}
	o.names[fold(name)], o.values[name] = name, b
}

func (o object) write() ([]byte, error) { return json.Marshal(o.values) }

// Object reads the outermost object of a text, in which no key may be there twice,
// in whatever case.
func Object(b []byte) (map[string]json.RawMessage, error) {
	o, err := readObject(b)
	return o.values, err
}
