package remedy

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"nacre/pattern"
	"nacre/strict"
	"nacre/unseen"
)

// plain is text that YAML reads as text without quotes, in flow style too.
var plain = pattern.Of(`^([A-Za-z/]|~/)[A-Za-z0-9_./@+-]*$`)

// words are plain to look at, but YAML (or an older YAML) reads something else.
var words = pattern.Of(`(?i)^(true|false|null|yes|no|on|off|y|n)$`)

// Flow writes v, a value of a type that strict.Decode can read, as one line of YAML.
// What is zero and not required is left out; strict.Decode reads the rest back as it was.
func Flow(v any) string { return flow(reflect.ValueOf(v)) }

func flow(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		if err != nil { // no type of ours fails; the text then shows why
			return Quote(err.Error())
		}
		return Quote(string(b))
	}
	switch v.Kind() {
	case reflect.String:
		return Quote(v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = flow(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		var items []string
		for _, k := range keys {
			items = append(items, Quote(k.String())+": "+flow(v.MapIndex(k)))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case reflect.Struct:
		return flowStruct(v)
	default:
		return fmt.Sprint(v.Interface())
	}
}

func flowStruct(v reflect.Value) string {
	items, bare := []string{}, "{}"
	for _, f := range strict.Fields(v.Type()) {
		value := v.FieldByIndex(f.Index)
		switch {
		case f.Name == "" && value.IsZero():
			bare = flow(value)
		case f.Name == "":
			return flow(value)
		case !value.IsZero() || f.Is("required"):
			items = append(items, f.Name+": "+flow(value))
		}
	}
	if len(items) == 0 {
		return bare
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// Quote writes text as YAML, in double quotes where they are needed; what does not show
// on a terminal is an escape then. What is not UTF-8 stays so, and is refused when
// read: an escape would mean another text.
func Quote(s string) string {
	if !utf8.ValidString(s) {
		return `"` + s + `"`
	}
	if plain().MatchString(s) && !words().MatchString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		q := strconv.Quote(string(r))
		if !unseen.Shown(r) {
			q = strconv.QuoteToASCII(string(r))
		}
		b.WriteString(q[1 : len(q)-1])
	}
	return `"` + b.String() + `"`
}

// Shell writes text as one word of a shell: in double quotes, or where it holds what
// means something to a shell there, or what does not show, as $'…'.
func Shell(s string) string {
	var b strings.Builder
	bare := true
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !utf8.ValidString(s), !unseen.Shown(r):
			bare = false
			_, size := utf8.DecodeRuneInString(s[i:])
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		case strings.ContainsRune("'\\", r):
			bare = bare && r == '\''
			b.WriteString(`\` + string(r))
		default:
			bare = bare && !strings.ContainsRune("\"$`!", r)
			b.WriteRune(r)
		}
	}
	if bare {
		return `"` + s + `"`
	}
	return "$'" + b.String() + "'"
}
