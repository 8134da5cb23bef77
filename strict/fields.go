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
			OneOf:    strings.Fields(f.Tag.Get("oneof")),
			Match:    f.Tag.Get("match"),
			Refused:  f.Tag.Get("refused"),
			About:    f.Tag.Get("about"),
		})
	}
	return fields
}

// Near is the candidate within two edits of s, or "".
func Near(s string, candidates []string) string {
	best, found := 3, ""
	for _, c := range candidates {
		if d := distance(s, c); d < best && d < len(c) {
			best, found = d, c
		}
	}
	return found
}

// distance is the Levenshtein distance, at most 3: all that Near needs.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
