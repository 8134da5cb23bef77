package check

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre/skill"
)

// ours are the files that Nacre reads as YAML, beside the front of SKILL.md.
var ours = []string{skill.CapabilitiesFile, "tool.yaml", "harness.yaml", "channel.yaml"}

// decoded looks at what those who read a file as YAML get of it: by escapes, and by
// folding of lines, that is another text than the one that stands there.
func (l *look) decoded(name, text string) {
	switch {
	case name == skill.Main:
		text, _, _ = skill.SplitFront(text)
	case !slices.Contains(ours, name):
		return
	}
	var root yaml.Node
	if yaml.Unmarshal([]byte(text), &root) == nil { // else nobody gets anything of it
		l.scalars(&root, name, text)
	}
}

func (l *look) scalars(n *yaml.Node, name, text string) {
	if n.Kind == yaml.ScalarNode && !strings.Contains(text, n.Value) {
		at := lines(name)(n.Line)
		l.text(func(int) string { return at }, name, n.Value, false)
	}
	for _, c := range n.Content {
		l.scalars(c, name, text)
	}
}
