// Package part reads what makes a skill's kind, tool.yaml, harness.yaml or
// channel.yaml, as those read it that run the skill: what they would refuse is
// refused when the skill comes in.
//
// What it says is authority too: which program runs with what the skill is granted,
// what is installed for it, which hosts it is to do without.
package part

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre/channel"
	"nacre/fault"
	"nacre/harness"
	"nacre/harness/npm"
	"nacre/skill"
	"nacre/toolserver"
)

// Line is one thing that the part says: a key, perhaps with a name in it, and a value.
type Line struct{ Key, Value string }

func (l Line) String() string { return l.Key + " " + l.Value }

// Read reads the part of a skill, from the skill's folder; knowledge has none.
func Read(s *skill.Skill, folder fs.FS) ([]Line, error) {
	switch s.Kind {
	case skill.Tool:
		return ofTool(s, folder)
	case skill.Channel:
		return ofChannel(s)
	case skill.Harness:
		return ofHarness(s, folder)
	}
	return nil, nil
}

func ofTool(s *skill.Skill, folder fs.FS) ([]Line, error) {
	t, err := toolserver.ReadIn(folder)
	if err != nil {
		return nil, err
	}
	if _, err := toolserver.Manifest(s, t); err != nil {
		return nil, err
	}
	if err := own(s, toolserver.File, t.Command); err != nil {
		return nil, err
	}
	return says(s.Definition, toolserver.File)
}

func ofChannel(s *skill.Skill) ([]Line, error) {
	c, err := channel.Parse(s.Definition)
	if err != nil {
		return nil, err
	}
	if err := own(s, channel.File, c.Command); err != nil {
		return nil, err
	}
	return says(s.Definition, channel.File)
}

// ofHarness is what harness.yaml says, and which packages are installed by it.
func ofHarness(s *skill.Skill, folder fs.FS) ([]Line, error) {
	h, err := harness.Read(folder)
	if err != nil {
		return nil, err
	}
	lines, err := says(s.Definition, harness.File)
	if err != nil {
		return nil, err
	}
	for _, l := range h.Layers {
		fits := 0
		for _, arch := range machines {
			packages, wrong := h.Packages(l, npm.For(arch))
			if wrong == nil {
				_, wrong = npm.Scripted(packages, l.Scripts)
			}
			if err = wrong; err == nil {
				fits++
				lines = append(lines, Line{"installs", fmt.Sprintf("at %s: %d packages, %.12s (%s)", l.At, len(packages), npm.Address(packages, nil, nil), arch)})
			}
		}
		if fits == 0 {
			return nil, err
		}
	}
	return lines, nil
}

// machines are those that packages are chosen for; an agent may be for one of them only.
var machines = []string{"amd64", "arm64"}

// own refuses a program that should be the skill's and is none of its files.
func own(s *skill.Skill, file string, command []string) error {
	name, mine := strings.CutPrefix(command[0], "./")
	if mine && !slices.ContainsFunc(s.Files, func(f skill.File) bool { return f.Path == path.Clean(name) }) {
		return fault.New(fault.Invalid, "%s: command: the skill has no file %s", file, name)
	}
	return nil
}

// says is what a file says that was found good: each key, of a list that is a set each
// item, of a mapping each name.
func says(text []byte, name string) (lines []Line, err error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil || len(root.Content) == 0 {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read", name)
	}
	top := root.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		key, value := top[i].Value, top[i+1]
		switch {
		case key == "version":
		case value.Kind == yaml.MappingNode:
			for j := 0; j+1 < len(value.Content); j += 2 {
				lines = append(lines, Line{key + " " + value.Content[j].Value, short(value.Content[j+1])})
			}
		case value.Kind == yaml.SequenceNode && slices.Contains(sets, key):
			for _, item := range value.Content {
				lines = append(lines, Line{key, short(item)})
			}
		default:
			lines = append(lines, Line{key, short(value)})
		}
	}
	return lines, nil
}

// refuses is the key of what is kept from an agent: less of it is more.
const refuses = "refuses"

// sets are the lists in which the order says nothing.
var sets = []string{refuses, "certificates", "layers"}

// maxValue is how much of a value is shown, in bytes.
const maxValue = 400

// short is a value on one line; one that is long is told apart by its digest.
func short(n *yaml.Node) string {
	var v any
	if err := n.Decode(&v); err != nil {
		return n.Value
	}
	b, err := json.Marshal(v)
	if err != nil {
		return n.Value
	}
	if s, text := v.(string); text && !strings.ContainsAny(s, "\n\"\\") {
		b = []byte(s)
	}
	if len(b) <= maxValue {
		return string(b)
	}
	return fmt.Sprintf("%s… (%d bytes, %.12s)", strings.ToValidUTF8(string(b[:maxValue/2]), ""), len(b), sum(b))
}
