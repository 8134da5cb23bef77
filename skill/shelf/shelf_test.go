package shelf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"nacre/fault"
	"nacre/skill/lock"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *Shelf {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) // whatever the umask is
	must(t, os.Chmod(dir, 0o755))
	s, err := Open(filepath.Join(dir, "config"), filepath.Join(dir, "state"), os.Getuid())
	must(t, err)
	return s
}

// add puts a skill on a shelf.
func add(s *Shelf, name, body string) error {
	st, err := s.Stage()
	if err != nil {
		return err
	}
	defer st.Discard()
	if err := st.Copy(fstest.MapFS{"SKILL.md": {Data: []byte("---\nname: " + name + "\ndescription: x\n---\n" + body)}}); err != nil {
		return err
	}
	found, err := st.Read("")
	if err != nil {
		return err
	}
	return s.Edit(func(l *lock.File) error {
		l.Put(lock.Entry{Name: name, Kind: found.Kind, Source: "folder:/x", Digest: found.Digest})
		return st.Keep()
	})
}

// TestEdit: of many at once none is lost, and what no entry names is not kept.
func TestEdit(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	errs := make(chan error, 20)
	for i := range 20 {
		all.Go(func() { errs <- add(s, fmt.Sprint("skill-", i%10), fmt.Sprint(i)) })
	}
	all.Wait()
	for range 20 {
		must(t, <-errs)
	}
	l, err := s.Lock()
	must(t, err)
	if len(l.Skills) != 10 {
		t.Errorf("%d entries", len(l.Skills))
	}
	for _, e := range l.Skills {
		if _, got, err := s.Skill(e.Name); err != nil || got.Digest != e.Digest {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(s.Path())), "state/skills/*"))
	must(t, err)
	if len(kept) != 10 {
		t.Errorf("kept: %v", kept)
	}
	if _, _, err := s.Skill("none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}

// TestFailedEdit: a change that fails changes nothing.
func TestFailedEdit(t *testing.T) {
	s := open(t)
	must(t, add(s, "greet", ""))
	before, err := os.ReadFile(s.Path())
	must(t, err)
	if err := s.Edit(func(l *lock.File) error { l.Remove("greet"); return errors.New("no") }); err == nil {
		t.Error("no error")
	}
	after, err := os.ReadFile(s.Path())
	must(t, err)
	if string(after) != string(before) {
		t.Errorf("%s", after)
	}
}

// TestWhoseLock: a lock that somebody else could change pins nothing.
func TestWhoseLock(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"writable":        func(p string) error { return os.Chmod(p, 0o666) },
		"folder writable": func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) },
		"not a lock":      func(p string) error { return os.WriteFile(p, []byte("version: 1\nskill: []\n"), 0o600) },
	} {
		s := open(t)
		must(t, add(s, "greet", ""))
		must(t, change(s.Path()))
		if _, _, err := s.Skill("greet"); err == nil || fault.KindOf(err) == fault.NotFound {
			t.Errorf("%s: %v", name, err)
		}
		if err := add(s, "other", ""); err == nil {
			t.Errorf("%s: the lock was changed", name)
		}
	}
}
