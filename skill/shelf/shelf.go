// Package shelf is an owner's skills: nacre.lock, which pins them, and the store
// that keeps them, as one. The lock lies beside the owner's policy and is read
// as that is: only where nobody else can change it. Every skill that is handed
// out was read just now and is what its entry says.
package shelf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/load"
	"nacre/skill"
	"nacre/skill/lock"
	"nacre/skill/store"
)

// Shelf is an owner's skills.
type Shelf struct {
	*store.Store
	path  string // of the lock
	owner int
}

// Open opens the skills of an owner: the folder of the owner's policy, and that
// of the owner's state.
func Open(config, state string, owner int) (*Shelf, error) {
	s, err := store.Open(filepath.Join(state, "skills"))
	return &Shelf{s, filepath.Join(config, lock.Name), owner}, err
}

// Lock reads the lock; one that is not there has no entries.
func (s *Shelf) Lock() (*lock.File, error) { return load.Lock(s.path, s.owner) }

// Path is where the lock lies.
func (s *Shelf) Path() string { return s.path }

// Skill is a skill as it was locked, with its entry.
func (s *Shelf) Skill(name string) (*skill.Skill, lock.Entry, error) {
	l, err := s.Lock()
	if err != nil {
		return nil, lock.Entry{}, err
	}
	e, err := l.Need(name)
	if err != nil {
		return nil, lock.Entry{}, err
	}
	found, err := s.Verify(*e)
	return found, *e, err
}

// Edit changes the lock, while no other nacre does; what no entry names any
// more is removed from the store.
func (s *Shelf) Edit(change func(*lock.File) error) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot make the folder of %s", lock.Name)
	}
	held, err := os.Open(filepath.Dir(s.path))
	if err == nil {
		defer held.Close()
		err = unix.Flock(int(held.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return fault.Wrap(fault.Conflict, err, "cannot lock the folder of %s", lock.Name)
	}
	l, err := s.Lock()
	if err != nil {
		return err
	}
	before := slices.Clone(l.Skills)
	if err := change(l); err != nil {
		return err
	}
	text, err := l.Format()
	if err != nil {
		return err
	}
	if err := replace(s.path, text); err != nil {
		return err
	}
	if _, err := s.Lock(); err != nil { // a new one may lie where others can write
		return err
	}
	for _, e := range before {
		if !slices.ContainsFunc(l.Skills, func(now lock.Entry) bool { return now.Digest == e.Digest }) {
			err = errors.Join(err, s.Remove(e.Digest))
		}
	}
	return err
}

// replace puts a new file in the place of the old one, whole or not at all.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".lock-*") // 0600
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write %s", lock.Name)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write %s", lock.Name)
	}
	return nil
}
