package store

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"nacre/fault"
	"nacre/skill"
)

// Change is a file that differs between two versions of a skill. The texts are
// there where both are short ones; nil: they are not shown.
type Change struct {
	What     string // "+" new, "−" gone, "~" changed, "x" may be run now
	Path     string
	Old, New []byte
}

// maxShown is the longest text whose difference is shown.
const maxShown = 256 << 10

// Compare lists the files that differ, by name.
func Compare(old, new *skill.Skill, before, after fs.FS) ([]Change, error) {
	var list []Change
	was := map[string]skill.File{}
	for _, f := range old.Files {
		was[f.Path] = f
	}
	for _, f := range new.Files {
		o, there := was[f.Path]
		delete(was, f.Path)
		if there && o == f {
			continue
		}
		c := Change{What: "~", Path: f.Path}
		switch {
		case !there:
			c.What = "+"
		case f.Executable && !o.Executable:
			c.What = "x"
		}
		if !there || o.Digest != f.Digest {
			if err := c.texts(o, f, before, after); err != nil {
				return nil, err
			}
		}
		list = append(list, c)
	}
	for name := range was {
		list = append(list, Change{What: "−", Path: name})
	}
	slices.SortFunc(list, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// texts reads both sides, where both are short texts; before o there was nothing.
func (c *Change) texts(o, f skill.File, before, after fs.FS) error {
	if o.Size > maxShown || f.Size > maxShown {
		return nil
	}
	old := []byte{}
	var err error
	if o.Path != "" {
		if old, err = text(before, o.Path); err != nil || old == nil {
			return err
		}
	}
	new, err := text(after, f.Path)
	if err != nil || new == nil {
		return err
	}
	c.Old, c.New = old, new
	return nil
}

// text is a file's content, if it is text.
func text(from fs.FS, name string) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read", name)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxShown+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read", name)
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 || len(data) > maxShown {
		return nil, nil
	}
	return append([]byte{}, data...), nil
}
