// Package strict decodes YAML that may have been written by an enemy. Every
// key must be known, every value of the right type, and nothing may be said
// twice, by reference or by tag. A fault names file, line and column and what
// was expected there. The struct tags that drive the decoder also drive the
// JSON Schema:
//
//	yaml:"name[,required][,scalar][,some]"  the key; scalar: a bare value stands for it; some: a list that may not be empty
//	oneof:"a b c"                           the only values
//	match:"regexp"                          the form of the text, or of each item
//	refused:"why"                           a key that is known, and refused
//	about:"one line"                        what it means, for people
//
// A struct with a field Origin of type nacre.Origin learns where it was written,
// and one with a method Check() error is asked, once decoded, whether it makes
// sense: it completes its defaults there.
package strict

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre"
	"nacre/fault"
)

// The bounds of a file.
const (
	MaxBytes = 1 << 20
	MaxDepth = 32
)

// Text is a string that remembers where it was written.
type Text struct {
	Value  string `yaml:",scalar"`
	Origin nacre.Origin
}

// Unknown is the cause of a fault about a word that is none of those known.
type Unknown struct {
	Word  string
	Known []string
}

func (u *Unknown) Error() string { return strconv.Quote(u.Word) }

// Decode reads the one document in data into v, a struct, and returns it; with a
// fault it returns nothing. The file's name is only for messages and origins. A
// byte order mark and CRLF line ends are tolerated; everything else that is unusual
// is a fault.
func Decode[T any](file string, data []byte, v *T) (*T, error) {
	d := &decoder{file: file}
	if len(data) > MaxBytes {
		return nil, d.at(1, 1, "the file is larger than 1 MiB")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := bytes.IndexByte(bytes.ToValidUTF8(data, []byte{0}), 0); i >= 0 { // the first that is not UTF-8, or NUL
		line := 1 + bytes.Count(data[:i], []byte("\n"))
		column := i - bytes.LastIndexByte(data[:i], '\n')
		return nil, d.at(line, column, "expected UTF-8 text, found a binary byte (0x%02x)", data[i])
	}
	root, err := d.parse(data)
	if err != nil {
		return nil, err
	}
	if d.check(root, 0); d.err == nil {
		d.value(root, reflect.ValueOf(v).Elem())
	}
	if d.err != nil {
		return nil, d.err
	}
	return v, nil
}

var lineIn = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?((?s:.*))$`)

// parse returns the root value of the only document.
func (d *decoder) parse(data []byte) (*yaml.Node, error) {
	var doc, second yaml.Node
	parser := yaml.NewDecoder(bytes.NewReader(data))
	err := parser.Decode(&doc)
	empty := errors.Is(err, io.EOF) || err == nil && doc.Content[0].Tag == "!!null" && doc.Content[0].Value == ""
	if err == nil {
		err = parser.Decode(&second)
	}
	switch {
	case empty:
		return nil, d.at(1, 1, "the file is empty: expected keys and values")
	case err == nil:
		return nil, d.at(second.Line, second.Column, "expected the end of the file, found a second document")
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	}
	m := lineIn.FindStringSubmatch(err.Error())
	line, _ := strconv.Atoi(m[1]) // no number: the whole file
	return nil, d.at(max(line, 1), 1, "not valid YAML: %s", m[2]).
		WithHint("indent with spaces, not tabs, and put text with special characters in double quotes")
}

// check refuses what no file of ours may hold, anywhere in the tree. It never
// follows an alias.
func (d *decoder) check(n *yaml.Node, depth int) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.node(n, "expected a plain value: anchors and aliases (& and *) are refused").
			WithHint("write the value out, or put text that begins with & or * in quotes")
	case n.Style&yaml.TaggedStyle != 0:
		d.node(n, "expected a plain value, found the tag %s: tags are refused", n.Tag)
	case n.Tag == "!!merge":
		d.node(n, "expected a key: merge keys (<<) are refused")
	case depth > MaxDepth:
		d.node(n, "nested deeper than %d levels", MaxDepth)
		return
	}
	seen := map[string]*yaml.Node{}
	for i, c := range n.Content {
		d.check(c, depth+1)
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		if c.Kind != yaml.ScalarNode || c.Tag != "!!str" {
			d.node(c, "expected a key that is text, found %s", found(c))
		}
		if first := seen[c.Value]; first != nil {
			d.node(c, "the key %q is there twice; first on line %d", c.Value, first.Line)
		}
		seen[c.Value] = c
	}
}

// Invalid is the fault of something written at an origin.
func Invalid(at nacre.Origin, format string, args ...any) *fault.Fault {
	f := fault.New(fault.Invalid, format, args...)
	f.What = at.String() + ": " + f.What
	return f
}

func (d *decoder) at(line, column int, format string, args ...any) *fault.Fault {
	f := Invalid(nacre.Origin{File: d.file, Line: line, Column: column}, format, args...)
	d.err = cmp.Or(d.err, error(f))
	return f
}

func (d *decoder) node(n *yaml.Node, format string, args ...any) *fault.Fault {
	return d.at(n.Line, n.Column, format, args...)
}

// Field is one key of a struct, as its tags describe it.
type Field struct {
	Name    string // empty: there is no key, only the bare value
	options []string
	reflect.StructField
}

// Is tells whether a field has an option: required, scalar or some.
func (f Field) Is(option string) bool { return slices.Contains(f.options, option) }

// Fields lists the keys of a struct type in order, embedded structs inline.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for _, f := range reflect.VisibleFields(t) {
		if tag, ok := f.Tag.Lookup("yaml"); ok {
			options := strings.Split(tag, ",")
			fields = append(fields, Field{options[0], options[1:], f})
		}
	}
	return fields
}
