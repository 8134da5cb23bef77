package strict

import (
	"reflect"
	"strings"
)

// Field is one key of a struct, as its tags describe it.
type Field struct {
	Name     string // empty: there is no key, only the bare value
	Index    []int
	Type     reflect.Type
	Required bool
	Scalar   bool // a bare value in place of keys stands for this field
	Some     bool // a list that may not be empty
	OneOf    []string
	Match    string // a regular expression for the text, or each item
	Refused  string
	About    string
}

// Fields lists the keys of a struct type in order, embedded structs inline.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("yaml")
		if !ok {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		options = "," + options + ","
		fields = append(fields, Field{
			Name: name, Index: f.Index, Type: f.Type,
			Required: strings.Contains(options, ",required,"),
			Scalar:   strings.Contains(options, ",scalar,"),
			Some:     strings.Contains(options, ",some,"),
			OneOf:    strings.Fields(f.Tag.Get("oneof")),
			Match:    f.Tag.Get("match"),
			Refused:  f.Tag.Get("refused"),
			About:    f.Tag.Get("about"),
		})
	}
	return fields
}
