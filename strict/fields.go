package strict

import (
	"reflect"
	"slices"
	"strings"
)

// Field is one key of a struct, as its tags describe it.
type Field struct {
	Name    string // empty: there is no key, only the bare value
	Index   []int
	Type    reflect.Type
	Tag     reflect.StructTag
	options []string
}

// Is tells whether a field has an option: required, scalar or some.
func (f Field) Is(option string) bool { return slices.Contains(f.options, option) }

// Fields lists the keys of a struct type in order, embedded structs inline.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for _, f := range reflect.VisibleFields(t) {
		if tag, ok := f.Tag.Lookup("yaml"); ok {
			options := strings.Split(tag, ",")
			fields = append(fields, Field{options[0], f.Index, f.Type, f.Tag, options[1:]})
		}
	}
	return fields
}
