// Package mcp reads what programs and tool servers say to each other in the Model
// Context Protocol, strictly: so that nobody downstream reads something else than
// what was decided upon. What goes on is written anew.
package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxRequest and MaxReply bound one message, in bytes.
	MaxRequest = 1 << 20
	MaxReply   = 4 << 20

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
