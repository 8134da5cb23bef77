// Package store keeps skills on the owner's disk, each in a folder that is
// named after the digest of what it holds:
//
//	DIR/sha256-HEX/NAME/SKILL.md …
//
// Whatever comes in is written anew, file by file: nothing of an archive's or a
// folder's links, owners, times and special files survives, and the bounds of
// package skill hold while it is written. What is kept is read again, and
// compared with its digest, each time that it is used.
package store

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/skill"
	"nacre/skill/lock"
)

// Store is a folder of skills.
type Store struct{ dir string }

// temporary is what begins the names of folders under way.
const temporary = "tmp-"

// Open opens a store, making it where there is none, and takes away what a
// killed process has left.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failed(err)
	}
	s := &Store{dir}
	return s, s.sweep()
}

func failed(err error) error { return fault.Wrap(fault.Exhausted, err, "cannot store a skill") }

// sweep removes folders under way that nobody is filling any more.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return failed(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), temporary) {
			continue
		}
		held, err := hold(filepath.Join(s.dir, e.Name()))
		if err != nil { // it is in use, or gone
			continue
		}
		err = os.RemoveAll(held.Name())
		held.Close()
		if err != nil {
			return failed(err)
		}
	}
	return nil
}

// hold locks a folder for as long as it is open.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// place is the folder around a skill with a digest.
func (s *Store) place(digest string) string {
	return filepath.Join(s.dir, strings.Replace(digest, ":", "-", 1))
}

// Folder is where a pinned skill is kept.
func (s *Store) Folder(e lock.Entry) string { return filepath.Join(s.place(e.Digest), e.Name) }

// Verify reads a pinned skill and holds it to its entry.
func (s *Store) Verify(e lock.Entry) (*skill.Skill, error) {
	found, err := skill.Open(s.Folder(e))
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil, fault.New(fault.NotFound, "the skill %s is in %s, but not on this machine", e.Name, lock.Name).
			WithHint("nacre skill update %s fetches it again", e.Name)
	case err != nil:
		return nil, fault.Wrap(fault.Tampered, err, "the skill %s is no longer what it was", e.Name).WithHint("%s", restore(e.Name))
	case found.Signature != nil || found.Digest != e.Digest || found.Kind != e.Kind || found.CapabilitiesDigest != e.Capabilities:
		return nil, fault.New(fault.Tampered, "the skill %s has changed since it was locked: %s, not %s", e.Name, found.Digest, e.Digest).
			WithHint("%s", restore(e.Name))
	}
	return found, nil
}

// maxSignature bounds a signature's file.
const maxSignature = 4 << 10

// Signature is the signature that came with a skill; nil: none.
func (s *Store) Signature(e lock.Entry) ([]byte, error) {
	f, err := os.Open(filepath.Join(s.place(e.Digest), skill.SignatureFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Tampered, err, "the signature of %s cannot be read", e.Name)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSignature))
	if err != nil {
		return nil, fault.Wrap(fault.Tampered, err, "the signature of %s cannot be read", e.Name)
	}
	return text, nil
}

func restore(name string) string {
	return "see who could write to its folder; nacre skill rm " + name + ", then nacre skill add SOURCE, brings it back"
}

// Remove removes what is kept under a digest.
func (s *Store) Remove(digest string) error {
	away := filepath.Join(s.dir, temporary+rand.Text()) // away in one step
	err := os.Rename(s.place(digest), away)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.RemoveAll(away)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}
