package part

import (
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"nacre/channel"
	"nacre/fault"
	"nacre/harness"
	"nacre/skill"
	"nacre/toolserver"
)

// FuzzPart: a stranger's tool.yaml, channel.yaml or harness.yaml is read or refused; its
// program is a file of the skill's or one of the system's, and an owner is shown all
// that it says, the same each time, as lines.
func FuzzPart(f *testing.F) {
	for _, s := range []string{tool, "version: 1\ncommand: [python3, -m, x]\nurl: http://127.0.0.1:80/mcp\nanswer: 30s\n", "version: 1\ncommand: [./../serve]\n", "version: 1\ncommand: [./a/../serve, \"\\e[31m\"]\n",
		"version: 1\nprotocol: 1\ncommand: [./serve]\n", agent, "version: 1\nheadless: [\"{prompt}\"]\nenvironment: {\"\\u202e\": x}\n"} {
		for kind := range uint8(3) {
			f.Add(kind, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text []byte) {
		name := []string{toolserver.File, channel.File, harness.File}[kind%3]
		files := fstest.MapFS{skill.Main: {Data: []byte("---\nname: greet\ndescription: Greets.\n---\n")}, "serve": {Data: []byte("x"), Mode: 0o755},
			"l.json": {Data: []byte(lock)}, name: {Data: text}}
		s, err := skill.Read(files)
		if err != nil {
			return
		}
		lines, err := Read(s, files)
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.Invalid && kind != fault.NotFound {
				t.Fatalf("%v: %v", kind, err)
			}
			return
		}
		again, err := Read(s, files)
		if err != nil || !slices.Equal(lines, again) || len(Diff(lines, again)) != 0 || len(lines) == 0 {
			t.Fatalf("%q, then %q %v", lines, again, err)
		}
		for _, l := range lines { // what shows it, makes it harmless to a terminal
			if strings.Contains(l.String(), "\n") || len(l.Value) > 2*maxValue {
				t.Errorf("%q", l)
			}
		}
		if more := Diff(nil, lines); len(more) < len(slices.Compact(slices.SortedFunc(slices.Values(lines), func(a, b Line) int { return strings.Compare(a.String(), b.String()) }))) {
			t.Errorf("%d lines are new of %q", len(more), lines)
		}
		var command []string
		switch s.Kind {
		case skill.Tool:
			p, err := toolserver.ReadIn(files)
			if err != nil {
				t.Fatal(err)
			}
			command = p.Command
		case skill.Channel:
			p, err := channel.Parse(s.Definition)
			if err != nil {
				t.Fatal(err)
			}
			command = p.Command
		default:
			return
		}
		if mine, ok := strings.CutPrefix(command[0], "./"); ok && path.Clean(mine) != "serve" && path.Clean(mine) != name && path.Clean(mine) != skill.Main && path.Clean(mine) != "l.json" {
			t.Errorf("%q is no file of the skill's", command[0])
		}
	})
}
