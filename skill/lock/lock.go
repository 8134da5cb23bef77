// Package lock is the grammar of nacre.lock: the owner's skills, each pinned by
// the digest of its whole folder. The file lies beside the owner's policy, as
// trusted as that; what an agent can write to pins nothing.
package lock

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/remedy"
	"nacre/skill"
	"nacre/strict"
)

// Name is what the file is called.
const Name = "nacre.lock"

// File is a parsed nacre.lock.
type File struct {
	Version int     `yaml:"version,required" match:"^1$" about:"the version of this grammar: 1"`
	Skills  []Entry `yaml:"skills" about:"the skills, by name"`
	Origin  nacre.Origin
}

// Entry is one skill, pinned.
type Entry struct {
	Name         string     `yaml:"name,required" about:"the skill's name"`
	Kind         skill.Kind `yaml:"kind,required" oneof:"knowledge tool harness channel" about:"what it is"`
	Source       string     `yaml:"source,required" about:"where it came from, for updates"`
	Revision     string     `yaml:"revision" about:"what exactly that was: a commit, or a digest"`
	Path         string     `yaml:"path" about:"the folder in it, where that is not all of it"`
	Digest       string     `yaml:"digest,required" match:"^sha256:[0-9a-f]{64}$" about:"of its whole folder: sha256:…"`
	Capabilities string     `yaml:"capabilities" match:"^(sha256:[0-9a-f]{64})?$" about:"of its capabilities.yaml, if it has one"`
	Accepted     []string   `yaml:"accepted,some" match:"^[a-z-]{1,40}$" about:"kinds of findings that the owner has accepted"`
	Origin       nacre.Origin
}

// Parse reads a lock. The file's name is only for messages.
func Parse(file string, data []byte) (*File, error) {
	f, err := strict.Decode(file, data, &File{})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, e := range f.Skills {
		if seen[e.Name] {
			return nil, strict.Invalid(e.Origin, "the skill %q is there twice", e.Name)
		}
		seen[e.Name] = true
	}
	return f, nil
}

// Check refuses what cannot be meant.
func (e *Entry) Check() error {
	if err := skill.CheckName(e.Name); err != nil {
		return strict.Invalid(e.Origin, "%v", err)
	}
	return nil
}

// Find is the entry of a name; nil: none.
func (f *File) Find(name string) *Entry {
	if f == nil {
		return nil
	}
	if i := slices.IndexFunc(f.Skills, func(e Entry) bool { return e.Name == name }); i >= 0 {
		return &f.Skills[i]
	}
	return nil
}

// Need is the entry of a name, or a fault that says what there is.
func (f *File) Need(name string) (*Entry, error) {
	if e := f.Find(name); e != nil {
		return e, nil
	}
	known := []string{}
	if f != nil {
		for _, e := range f.Skills {
			known = append(known, e.Name)
		}
	}
	hint := "nacre skill add SOURCE puts one there"
	if len(known) > 0 {
		hint = "there are " + strings.Join(known, ", ")
	}
	return nil, fault.New(fault.NotFound, "there is no skill %.80q in %s", name, Name).WithHint("%s", hint)
}

// Put puts an entry in, in the place of one of the same name.
func (f *File) Put(e Entry) {
	f.Remove(e.Name)
	f.Skills = append(f.Skills, e)
	slices.SortFunc(f.Skills, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}

// Remove takes an entry out, and tells whether it was there.
func (f *File) Remove(name string) bool {
	before := len(f.Skills)
	f.Skills = slices.DeleteFunc(f.Skills, func(e Entry) bool { return e.Name == name })
	return len(f.Skills) < before
}

// Format writes a lock: the same entries always as the same text, a line for
// each thing that is said, so that a difference reads well.
func (f *File) Format() ([]byte, error) {
	list := slices.SortedFunc(slices.Values(f.Skills), func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	b.WriteString("# Skills, each pinned by the digest of its folder. nacre skill writes this.\nversion: 1\n")
	if len(list) == 0 {
		return b.Bytes(), nil
	}
	b.WriteString("skills:\n")
	for _, e := range list {
		lead := "  - "
		for _, pair := range [][2]string{{"name", e.Name}, {"kind", string(e.Kind)}, {"source", e.Source}, {"path", e.Path}, {"revision", e.Revision},
			{"digest", e.Digest}, {"capabilities", e.Capabilities}} {
			if pair[1] == "" {
				continue
			}
			fmt.Fprintf(&b, "%s%s: %s\n", lead, pair[0], remedy.Quote(pair[1]))
			lead = "    "
		}
		if len(e.Accepted) > 0 {
			fmt.Fprintf(&b, "    accepted: [%s]\n", strings.Join(e.Accepted, ", "))
		}
	}
	_, err := Parse(Name, b.Bytes()) // what was written can be read
	return b.Bytes(), err
}
