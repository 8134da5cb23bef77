package seccomp

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed calls.txt
var callsFile string

// family is some calls with one reason. A name that an architecture lacks is
// left out there.
type family struct {
	names  []string
	reason string
}

// section reads a section of calls.txt: each line is names, "#" and the reason.
func section(name string) (families []family) {
	_, text, _ := strings.Cut(callsFile, "\n["+name+"]\n")
	text, _, _ = strings.Cut(text, "\n[")
	for line := range strings.Lines(text) {
		names, reason, _ := strings.Cut(line, "#")
		if names = strings.TrimSpace(names); names != "" {
			families = append(families, family{strings.Fields(names), strings.TrimSpace(reason)})
		}
	}
	return families
}

// has tells whether a section names a call.
func has(name, call string) bool {
	return slices.ContainsFunc(section(name), func(f family) bool { return slices.Contains(f.names, call) })
}
