package manifest

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/strict"
)

// Named is a request, or a rule, of a capability that is a list: the common
// form of everything but folders and limits.
type Named struct {
	Capability nacre.Capability
	Name       string
	Lists      map[string][]string // each item must be allowed
	Amounts    map[string]int64    // 0: not stated
	Reason     string
	Origin     nacre.Origin
	Entry      any // the entry as written; nil: only its name
}

// Entry is the common form of one entry: its first key is its name, numbers
// with a sum to them are amounts, and all else that is stated is a list.
func Entry(c nacre.Capability, written any) Named {
	n := Named{Capability: c, Lists: map[string][]string{}, Amounts: map[string]int64{}, Entry: written}
	v := reflect.ValueOf(written)
	n.Origin = v.FieldByName("Origin").Interface().(nacre.Origin)
	for i, f := range strict.Fields(v.Type()) {
		value := v.FieldByIndex(f.Index)
		switch {
		case i == 0:
			n.Name = value.String()
		case f.Name == "reason":
			n.Reason = value.String()
		case value.Kind() == reflect.Int64:
			n.Amounts[f.Name] = value.Int()
		case value.IsZero():
		case value.Kind() == reflect.Slice:
			n.Lists[f.Name] = []string{}
			for _, item := range value.Seq2() {
				n.Lists[f.Name] = append(n.Lists[f.Name], fmt.Sprint(item))
			}
		default:
			n.Lists[f.Name] = []string{fmt.Sprint(value)}
		}
	}
	return n
}

// Entries are the entries of the lists of v, a struct, in the order of its
// keys: of one list, or of all where none is named.
func Entries(v any, keys ...nacre.Capability) []Named {
	var all []Named
	for _, f := range strict.Fields(reflect.TypeOf(v)) {
		key := nacre.Capability(f.Name)
		if f.Type.Kind() != reflect.Slice || len(keys) > 0 && !slices.Contains(keys, key) {
			continue
		}
		for _, written := range reflect.ValueOf(v).FieldByIndex(f.Index).Seq2() {
			all = append(all, Entry(key, written.Interface()))
		}
	}
	return all
}

// Separator stands between the items of a detail; no item can hold it.
const Separator = "; "

// Detail is what narrows an entry, for a plan.
func (n Named) Detail() map[string]string {
	detail := map[string]string{}
	for key, items := range n.Lists {
		detail[key] = strings.Join(items, Separator)
	}
	for key, amount := range n.Amounts {
		if amount > 0 {
			detail[key] = fmt.Sprint(amount)
		}
	}
	return detail
}

// matchers say how the items of a list are compared with a rule's; where none
// is named, * in the rule stands for anything.
var matchers = map[string]func(rule, asked string) bool{
	string(nacre.CapNetwork): egress.CoversHost, "hosts": egress.CoversPlace, "paths": egress.CoversPath, "push": egress.Wild}

// matches tells whether a rule's text allows what is asked.
func matches(key, rule, asked string) bool {
	if match := matchers[key]; match != nil {
		return match(rule, asked)
	}
	return egress.Wild(rule, asked)
}

// binding are lists that narrow what else an entry says. Those of all sides hold
// together; no side has to allow another's.
var binding = []string{"arguments", "pins"}

// Bound is n with what the rule narrows besides: its conditions, and its amounts
// where they are less.
func (n Named) Bound(rule Named) Named {
	n.Lists, n.Amounts = maps.Collect(maps.All(n.Lists)), maps.Collect(maps.All(n.Amounts))
	for _, key := range binding {
		if more := rule.Lists[key]; more != nil {
			n.Lists[key] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(n.Lists[key], more))))
		}
	}
	for key, most := range rule.Amounts {
		if most > 0 && (n.Amounts[key] == 0 || most < n.Amounts[key]) {
			n.Amounts[key] = most
		}
	}
	return n
}

// Place is the destination that an entry with a url leads to; none where it has no
// url, or one that nothing can be reached by.
func (n Named) Place() (at []Named) {
	for _, text := range n.Lists["url"] {
		if u, err := url.Parse(text); err == nil {
			port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
			at = append(at, Named{Capability: nacre.CapNetwork, Name: u.Hostname(), Lists: map[string][]string{"ports": {port}}})
		}
	}
	return at
}

// Covers tells whether the rule allows all that is asked. A list that the rule
// leaves empty allows nothing, and nothing allows a list that is asked empty.
func (rule Named) Covers(asked Named) bool {
	if !matches(string(asked.Capability), rule.Name, asked.Name) {
		return false
	}
	for key, items := range asked.Lists {
		free := slices.Contains(binding, key) || key == "placeholder" // a text that is made up for the agent: no authority
		refused := func(item string) bool {
			return !free && !slices.ContainsFunc(rule.Lists[key], func(allowed string) bool { return matches(key, allowed, item) })
		}
		if len(items) == 0 || slices.ContainsFunc(items, refused) {
			return false
		}
	}
	for key, amount := range asked.Amounts {
		if most := rule.Amounts[key]; most > 0 && amount > most {
			return false
		}
	}
	return true
}

// Touches tells whether a denial meets anything that is asked, which may itself be a pattern.
func (deny Named) Touches(asked Named) bool {
	ports := deny.Lists["ports"]
	return (egress.Wild(deny.Name, asked.Name) || egress.Wild(asked.Name, deny.Name)) && (len(ports) == 0 ||
		slices.ContainsFunc(asked.Lists["ports"], func(p string) bool { return slices.Contains(ports, p) }))
}

// presets are the read-only places that people's tools live in, a line for each: programs
// and libraries, never tokens.
//
//go:embed presets.txt
var presets string

// Presets are the places of each preset, as they are written.
func Presets() map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(presets) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all
}
