package traps

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// hostile tells whether a name deceives whoever prints it or passes it on:
// controls, line breaks, text that runs backwards or cannot be seen, bytes that
// are no text, what a command takes for an option or a shell runs.
func hostile(name string) bool {
	if strings.HasPrefix(name, "-") || strings.Contains(name, "$(") || strings.Contains(name, "`") || !utf8.ValidString(name) {
		return true
	}
	return strings.ContainsFunc(name, func(r rune) bool {
		switch {
		case r >= ' ' && r < 0x7f:
			return false
		case r == '\u200c' || r == '\u200d': // joiners: Persian, emoji
			return false
		}
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

// index finds the rule for a name.
type index struct {
	names    map[string]*rule
	below    map[string]map[string]*rule // by the parent's name
	suffixes map[string]*rule
}

func newIndex(rules []rule) index {
	x := index{map[string]*rule{}, map[string]map[string]*rule{}, map[string]*rule{}}
	for i := range rules {
		for _, name := range rules[i].names {
			parent, child, nested := strings.Cut(name, "/")
			switch {
			case nested && x.below[parent] == nil:
				x.below[parent] = map[string]*rule{child: &rules[i]}
			case nested:
				x.below[parent][child] = &rules[i]
			case name[0] == '*':
				x.suffixes[name[1:]] = &rules[i]
			default:
				x.names[name] = &rules[i]
			}
		}
	}
	return x
}

// find is the rule for a folded name anywhere.
func (x index) find(parent, name string) *rule {
	if r := x.names[name]; r != nil {
		return r
	}
	if r := x.in(parent, name); r != nil {
		return r
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		return x.suffixes[name[dot:]]
	}
	return nil
}

// in is the rule for a folded name in a folder that rules name.
func (x index) in(parent, name string) *rule {
	names := x.below[parent]
	if r := names[name]; r != nil {
		return r
	}
	return names["*"]
}
