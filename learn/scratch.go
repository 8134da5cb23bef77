package learn

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Scratch is a copy of a folder for a program to work in, and how it was before.
type Scratch struct {
	root   *os.Root
	before map[string]state
	total  int64
}

// state is what of a file changes when it is written or read. The kernel keeps
// the time of change itself: nobody inside can set it.
type state struct {
	inode    uint64
	changed  unix.Timespec
	accessed unix.Timespec
}

// The most that is copied: a bigger folder takes longer than an owner waits.
const (
	maxFiles = 200_000
	maxBytes = 4 << 30
)

// Copy copies the folder at from, without following links, into the folder at
// to, which exists. What skip names, and what is no file, folder or link, is left
// out.
func Copy(from, to string, skip func(name string) bool) (*Scratch, error) {
	source, err := os.OpenRoot(from)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	s := &Scratch{before: map[string]state{}}
	if s.root, err = os.OpenRoot(to); err != nil {
		return nil, err
	}
	err = fs.WalkDir(source.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case skip(name) && d.IsDir():
			return fs.SkipDir
		case skip(name):
			return nil
		}
		return s.copy(source, name, d)
	})
	if err == nil {
		s.before, err = s.states()
	}
	if err != nil {
		return nil, errors.Join(err, s.root.Close())
	}
	return s, nil
}

func (s *Scratch) copy(source *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	s.before[name] = state{}
	if s.total += info.Size(); s.total > maxBytes || len(s.before) > maxFiles {
		return fault.New(fault.Exhausted, "the folder is too big to be copied: more than %d files or %d bytes", maxFiles, int64(maxBytes)).
			WithHint("learn in a smaller folder")
	}
	switch {
	case d.IsDir():
		return s.root.Mkdir(name, info.Mode().Perm()|0o700)
	case d.Type() == fs.ModeSymlink:
		to, err := source.Readlink(name)
		if err != nil {
			return err
		}
		return s.root.Symlink(to, name)
	case d.Type().IsRegular():
		return s.copyFile(source, name, info)
	}
	return nil
}

func (s *Scratch) copyFile(source *os.Root, name string, info fs.FileInfo) error {
	in, err := source.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	// Long ago, so that the kernel notes the first time that it is read.
	return s.root.Chtimes(name, time.Unix(1, 0), info.ModTime())
}

// states looks at all that is there, by names alone: nothing is opened that a
// program may have put there.
func (s *Scratch) states() (map[string]state, error) {
	all := map[string]state{}
	err := fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // an unreadable folder is one that was changed
		}
		if len(all) > 2*maxFiles {
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil {
			if st, ok := sysOf(info); ok {
				all[name] = st
			}
		}
		return nil
	})
	return all, err
}

// Changes are what was written, made or removed, and what was only read, as far
// as the file system notes that.
func (s *Scratch) Changes() (written, read []string, err error) {
	after, err := s.states()
	if err != nil {
		return nil, nil, err
	}
	for name, was := range s.before {
		now, there := after[name]
		switch {
		case !there || now.inode != was.inode || now.changed != was.changed:
			written = append(written, name)
		case now.accessed != was.accessed:
			read = append(read, name)
		}
	}
	for name := range after {
		if _, known := s.before[name]; !known {
			written = append(written, name)
		}
	}
	slices.SortFunc(written, byPlace)
	slices.SortFunc(read, byPlace)
	return written, read, nil
}

// byPlace puts what is near the top first.
func byPlace(a, b string) int {
	da, db := path.Dir(a), path.Dir(b)
	switch {
	case len(da) != len(db):
		return len(da) - len(db)
	case a < b:
		return -1
	}
	return 1
}

// Close lets go of the copy; it does not remove it.
func (s *Scratch) Close() error { return s.root.Close() }
