// Package begin is how a skill begins: the files of one of each kind, as data.
package begin

import (
	"bytes"
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/skill"
)

//go:embed all knowledge tool harness channel
var files embed.FS

// Kinds are the kinds of skills that can be begun.
func Kinds() []string {
	return []string{string(skill.Knowledge), string(skill.Tool), string(skill.Harness), string(skill.Channel)}
}

// File is a file of a skill.
type File struct {
	Name string
	Text []byte
}

// Files are those of a new skill, sorted by name; SKILL.md names the digest of
// capabilities.yaml.
func Files(kind, name string) (list []File, err error) {
	if !slices.Contains(Kinds(), kind) {
		return nil, fault.New(fault.Usage, "there is no kind of skill %.40q", kind).WithHint("expected one of %s", strings.Join(Kinds(), ", "))
	}
	for _, dir := range []string{"all", kind} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			text, err := fs.ReadFile(files, path.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			list = append(list, File{e.Name(), bytes.ReplaceAll(text, []byte("{{name}}"), []byte(name))})
		}
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	at := func(name string) *File {
		return &list[slices.IndexFunc(list, func(f File) bool { return f.Name == name })]
	}
	at(skill.Main).Text, err = skill.Stamp(at(skill.Main).Text, at(skill.CapabilitiesFile).Text)
	return list, err
}
