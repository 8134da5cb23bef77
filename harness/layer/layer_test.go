package layer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/fault"
)

func open(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layers")
	s, err := Open(dir, dir+"-records")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

// fill puts one file into a new layer.
func fill(folder string) error {
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "bin/run"), []byte("#!/bin/sh\n"), 0o755)
}

func nobody() {}

// TestLayer: a layer is made once, and is there then.
func TestLayer(t *testing.T) {
	s, dir := open(t)
	if there, err := s.Has("a"); there || err != nil {
		t.Fatalf("%t %v", there, err)
	}
	made := 0
	for range 2 {
		if err := s.Make("a", nobody, func(folder string) error { made++; return fill(folder) }); err != nil {
			t.Fatal(err)
		}
	}
	there, err := s.Has("a")
	if made != 1 || !there || err != nil {
		t.Errorf("made %d times; %t %v", made, there, err)
	}
	if _, err := os.Stat(filepath.Join(Path(dir, "a"), "bin/run")); err != nil {
		t.Error(err)
	}
}

// TestHalfMade: what could not be made, or was not finished, is no layer and is
// taken away.
func TestHalfMade(t *testing.T) {
	s, dir := open(t)
	if err := os.MkdirAll(filepath.Join(dir, "new-b/x"), 0o755); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := s.Make("a", nobody, func(folder string) error { return errors.Join(fill(folder), broken) }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if there, err := s.Has("a"); there || err != nil {
		t.Errorf("%t %v", there, err)
	}
	entries, _ := filepath.Glob(dir + "/*")
	if len(entries) != 1 || filepath.Base(entries[0]) != "lock" {
		t.Errorf("left: %q", entries)
	}
	if err := s.Make("a", nobody, func(folder string) error { return os.Symlink("/etc", filepath.Join(folder, "l")) }); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a link: %v", err)
	}
	if there, err := s.Has("a"); there || err != nil {
		t.Errorf("%t %v", there, err)
	}
}

// TestChanged: whatever is changed in a layer is noticed, and what only looks so is
// not minded.
func TestChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(layer string) error
		good   bool
	}{
		"written":          {func(l string) error { return os.WriteFile(l+"/bin/run", []byte("#!/bin/no\n"), 0o755) }, false},
		"no longer to run": {func(l string) error { return os.Chmod(l+"/bin/run", 0o644) }, false},
		"more":             {func(l string) error { return os.WriteFile(l+"/more", nil, 0o644) }, false},
		"an empty folder":  {func(l string) error { return os.Mkdir(l+"/more", 0o755) }, false},
		"less":             {func(l string) error { return os.Remove(l + "/bin/run") }, false},
		"a link":           {func(l string) error { return os.Symlink("run", l+"/bin/link") }, false},
		"another name":     {func(l string) error { return os.Rename(l+"/bin/run", l+"/bin/ran") }, false},
		"the same, anew": {func(l string) error {
			return errors.Join(os.Remove(l+"/bin/run"), os.WriteFile(l+"/bin/run", []byte("#!/bin/sh\n"), 0o755))
		}, true},
	} {
		s, dir := open(t)
		if err := s.Make("a", nobody, fill); err != nil {
			t.Fatal(err)
		}
		if err := c.change(Path(dir, "a")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			there, err := s.Has("a")
			if there != c.good || c.good != (err == nil) || !c.good && fault.KindOf(err) != fault.Tampered {
				t.Errorf("%s: %t %v", name, there, err)
			}
		}
	}
	s, dir := open(t)
	if err := s.Make("a", nobody, fill); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(Path(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if there, err := s.Has("a"); there || err != nil {
		t.Errorf("removed: %t %v", there, err)
	}
}

// TestWaits: one layer is made at a time, and whoever waits says so.
func TestWaits(t *testing.T) {
	s, dir := open(t)
	other, err := Open(dir, dir+"-records")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	waiting, done := make(chan struct{}), make(chan error)
	err = s.Make("a", nobody, func(folder string) error {
		go func() {
			done <- other.Make("a", func() { close(waiting) }, func(string) error { return errors.New("made twice") })
		}()
		<-waiting
		return fill(folder)
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Error(err)
	}
}

// TestOthersMayWrite: a store that others can write to is none.
func TestOthersMayWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, t.TempDir()); fault.KindOf(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "chmod") {
		t.Errorf("%v", err)
	}
}
