package store

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"nacre/fault"
	"nacre/skill"
)

// Staged is a skill on its way in: written, and not yet kept. Discard it in any
// case.
type Staged struct {
	store *Store
	held  *os.File // the folder under way, locked
	in    *os.Root // where it is written to
	count int
	left  int64 // of what the skill may hold
	most  int64 // of what an archive may unpack to
	// Notes say what was left out.
	Notes []string
	// Revision is what an archive says that it was made of.
	Revision string
	found    string // where in it the skill lies
	skill    *skill.Skill
}

// The folders of one that is under way.
const (
	incoming = "in"
	outgoing = "out"
)

// tries is how often a new folder may be swept away by another nacre before it
// is locked.
const tries = 10

// Stage begins a skill.
func (s *Store) Stage() (st *Staged, err error) {
	for range tries {
		if st, err = s.stage(); err == nil {
			return st, nil
		}
	}
	return nil, err
}

func (s *Store) stage() (*Staged, error) {
	dir := filepath.Join(s.dir, temporary+rand.Text())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, failed(err)
	}
	held, err := hold(dir)
	if err != nil {
		return nil, failed(err)
	}
	st := &Staged{store: s, held: held, left: skill.MaxTotal, most: MaxArchive}
	if err = os.Mkdir(filepath.Join(dir, incoming), 0o700); err == nil {
		st.in, err = os.OpenRoot(filepath.Join(dir, incoming))
	}
	if err != nil {
		st.Discard()
		return nil, failed(err)
	}
	return st, nil
}

// Discard takes away what was not kept.
func (st *Staged) Discard() {
	if st.in != nil {
		st.in.Close()
	}
	_ = os.RemoveAll(st.held.Name()) // what stays is swept later
	st.held.Close()
}

// enter admits one more thing by its path.
func (st *Staged) enter(name string) error {
	if err := skill.CheckPath(name); err != nil {
		return err
	}
	if st.count++; st.count > skill.MaxFiles {
		return fault.New(fault.Invalid, "the skill holds more than %d files and folders", skill.MaxFiles)
	}
	return nil
}

// Folder makes a folder, and those above it.
func (st *Staged) Folder(name string) error {
	if err := st.enter(name); err != nil {
		return err
	}
	return wrote(st.in.MkdirAll(name, 0o755), name)
}

// File writes a file that is not there yet, and the folders above it.
func (st *Staged) File(name string, executable bool, from io.Reader) error {
	if err := st.enter(name); err != nil {
		return err
	}
	if above := path.Dir(name); above != "." {
		if err := wrote(st.in.MkdirAll(above, 0o755), name); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	f, err := st.in.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return wrote(err, name)
	}
	n, err := io.Copy(f, io.LimitReader(from, st.left+1))
	st.left -= n
	if err = errors.Join(err, f.Close()); err == nil && st.left < 0 {
		err = fault.New(fault.Invalid, "the skill is larger than %d MiB", skill.MaxTotal>>20)
	}
	return wrote(err, name)
}

func wrote(err error, name string) error {
	var own *fault.Fault
	switch {
	case err == nil || errors.As(err, &own):
		return err
	case errors.Is(err, fs.ErrExist):
		return fault.New(fault.Invalid, "%.120q is there twice", name)
	}
	return fault.Wrap(fault.Invalid, err, "%.120q cannot be stored", name)
}

// Spool is a file for what is to be unpacked, which goes when it is closed or
// the skill is kept or discarded.
func (st *Staged) Spool() (*os.File, error) {
	f, err := os.CreateTemp(st.held.Name(), "spool-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return nil, failed(err)
	}
	return f, nil
}

// note says, once, that something was left out.
func (st *Staged) note(text string) {
	for _, n := range st.Notes {
		if n == text {
			return
		}
	}
	st.Notes = append(st.Notes, text)
}

// Read finds the skill in what was written: there, or in the only folder, which
// is then called as the skill is. A name that is not empty is what its folder
// was called.
func (st *Staged) Read(called string) (*skill.Skill, error) {
	at := "."
	if _, err := st.in.Lstat(skill.Main); errors.Is(err, fs.ErrNotExist) {
		if at, err = st.only(); err != nil {
			return nil, err
		}
		if at != "." {
			called = at
		}
	}
	folder, err := skill.Beneath(filepath.Join(st.held.Name(), incoming, at))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	s, err := skill.Read(folder)
	if err != nil {
		return nil, err
	}
	if called != "" {
		if err := s.Called(called); err != nil {
			return nil, err
		}
	}
	st.found, st.skill = at, s
	return s, nil
}

// only is the only folder that was written, where nothing is beside it.
func (st *Staged) only() (string, error) {
	entries, err := fs.ReadDir(st.in.FS(), ".")
	if err != nil {
		return "", failed(err)
	}
	if len(entries) == 1 && entries[0].IsDir() {
		return entries[0].Name(), nil
	}
	var skills []string
	_ = fs.WalkDir(st.in.FS(), ".", func(name string, _ fs.DirEntry, _ error) error {
		if path.Base(name) == skill.Main {
			skills = append(skills, path.Dir(name))
		}
		return nil
	})
	if len(skills) == 0 {
		return ".", nil // package skill says what is missing
	}
	return "", fault.New(fault.Invalid, "there is no %s at its top", skill.Main).
		WithHint("it holds skills: add one of them with --path: %s", strings.Join(skills[:min(len(skills), 20)], ", "))
}

// Skill is what was read.
func (st *Staged) Skill() *skill.Skill { return st.skill }

// Files are the skill's files, for whoever looks at them before it is kept.
// Close them.
func (st *Staged) Files() (*skill.Folder, error) {
	return skill.Beneath(filepath.Join(st.held.Name(), incoming, st.found))
}

// resign keeps the signature that came, where the skill is kept already.
func (st *Staged) resign(place string) error {
	if st.skill.Signature == nil {
		return nil
	}
	if err := os.Rename(filepath.Join(st.held.Name(), incoming, st.found, skill.SignatureFile), filepath.Join(place, skill.SignatureFile)); err != nil {
		return failed(err)
	}
	return nil
}

// Keep puts the skill where Verify finds it.
func (st *Staged) Keep() error {
	out := filepath.Join(st.held.Name(), outgoing)
	if err := os.Mkdir(out, 0o700); err != nil {
		return failed(err)
	}
	place := st.store.place(st.skill.Digest)
	if there, err := skill.Open(filepath.Join(place, st.skill.Name)); err == nil && there.Digest == st.skill.Digest && there.Signature == nil {
		return st.resign(place) // a sandbox may be using it
	}
	// What is there is damaged: this one was just read.
	if err := st.store.Remove(st.skill.Digest); err != nil {
		return err
	}
	err := error(nil)
	if st.skill.Signature != nil { // what an agent gets is exactly what the digest is of
		err = os.Rename(filepath.Join(st.held.Name(), incoming, st.found, skill.SignatureFile), filepath.Join(out, skill.SignatureFile))
	}
	if err == nil {
		err = os.Rename(filepath.Join(st.held.Name(), incoming, st.found), filepath.Join(out, st.skill.Name))
	}
	if err == nil {
		err = os.Rename(out, place)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}
