package store

import (
	"errors"
	"io"
	"io/fs"
	"path"

	"nacre/fault"
	"nacre/skill"
)

// gitFolder is left out of what is copied: it is no part of a skill.
const gitFolder = ".git"

// Copy copies a folder in. Somebody may be changing it: nothing is followed,
// and what was written is what is read afterwards.
func (st *Staged) Copy(folder fs.FS) error {
	c := copier{to: st, from: folder}
	return c.folder(".", 0)
}

// CopyPart copies a folder in without its SKILL.md and what leave gives a reason
// for, and without marking anything as a program.
func (st *Staged) CopyPart(folder fs.FS, leave func(name string) (why string)) error {
	c := copier{st, folder, leave}
	return c.folder(".", 0)
}

type copier struct {
	to    *Staged
	from  fs.FS
	leave func(name string) (why string) // nil: all is copied as it is
}

func (c copier) folder(name string, depth int) error {
	if depth > skill.MaxDepth {
		return fault.New(fault.Invalid, "%.120q lies deeper than %d folders", name, skill.MaxDepth)
	}
	f, err := c.from.Open(name)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%.120q cannot be read", name)
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return fault.New(fault.Invalid, "%.120q: expected a folder", name)
	}
	entries, err := dir.ReadDir(skill.MaxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return fault.Wrap(fault.Invalid, err, "%.120q cannot be read", name)
	}
	for _, e := range entries {
		full := path.Join(name, e.Name())
		if e.Name() == gitFolder {
			c.to.note(full + " was left out: it is git's, and no part of a skill")
			continue
		}
		if c.leave != nil && full == skill.Main {
			continue
		}
		if c.leave != nil {
			if why := c.leave(full); why != "" {
				c.to.note("left out: " + full + " (" + why + ")")
				continue
			}
		}
		if err := c.entry(full, e.Type(), depth); err != nil {
			return err
		}
	}
	return nil
}

func (c copier) entry(full string, kind fs.FileMode, depth int) error {
	if kind != 0 && kind != fs.ModeDir {
		return skill.Odd(full, kind)
	}
	f, err := c.from.Open(full)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%.120q cannot be read", full)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%.120q cannot be read", full)
	}
	mode := info.Mode()
	switch {
	case mode.IsDir():
		if err := c.to.Folder(full); err != nil {
			return err
		}
		return c.folder(full, depth+1)
	case !mode.IsRegular() || mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return skill.Odd(full, mode&^fs.ModePerm)
	}
	program := mode&0o111 != 0
	if program && c.leave != nil {
		program = false
		c.to.note(full + " stays as a file, and is no program any more")
	}
	return c.to.File(full, program, f)
}
