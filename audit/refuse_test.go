package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"nacre/fault"
)

// A writer that finds the newest record damaged records nothing on top of it.
func TestWriterRefusesDamagedEnd(t *testing.T) {
	for name, do := range map[string]func([]byte) []byte{
		"byte":  func(b []byte) []byte { b[len(b)-150] ^= 1; return b },
		"text":  func(b []byte) []byte { return append(b, "hello\n"...) },
		"long":  func(b []byte) []byte { return append(b, bytes.Repeat([]byte("x"), MaxLine+1)...) },
		"torns": func(b []byte) []byte { return append(b, bytes.Repeat([]byte(mark), window/len(mark)+1)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			record(t, openTest(t, dir), "a", "b", "c", "d", "e")
			bad := do(content(t, dir))
			if err := os.WriteFile(path(dir), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			err := openTest(t, dir).Record(context.Background(), event("x"))
			if fault.KindOf(err) != fault.Tampered || !bytes.Equal(content(t, dir), bad) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPlacesRefused(t *testing.T) {
	tests := []struct {
		name string
		kind fault.Kind
		make func(dir string) error
	}{
		{"folder writable by others", fault.Invalid, func(d string) error { return os.Chmod(d, 0o722) }},
		{"folder writable by the group", fault.Invalid, func(d string) error { return os.Chmod(d, 0o720) }},
		{"file open to others", fault.Invalid, func(d string) error {
			os.WriteFile(path(d), nil, 0o600)
			return os.Chmod(path(d), 0o604)
		}},
		{"link", fault.Invalid, func(d string) error {
			os.WriteFile(d+"/other", nil, 0o600)
			return os.Symlink("other", path(d))
		}},
		{"link to nothing", fault.Invalid, func(d string) error { return os.Symlink("nothing", path(d)) }},
		{"link out", fault.Invalid, func(d string) error { return os.Symlink("/dev/null", path(d)) }},
		{"link loop", fault.Invalid, func(d string) error { return os.Symlink(FileName, path(d)) }},
		{"folder for a file", fault.Invalid, func(d string) error { return os.Mkdir(path(d), 0o700) }},
		{"fifo", fault.Invalid, func(d string) error { return mkfifo(path(d)) }},
		{"file for a folder", fault.Invalid, func(d string) error { os.Remove(d); return os.WriteFile(d, nil, 0o600) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "audit")
			if err := errors.Join(os.Mkdir(dir, 0o700), test.make(dir)); err != nil {
				t.Fatal(err)
			}
			l, err := Open(dir, os.Getuid())
			if l != nil || fault.KindOf(err) != test.kind || fault.HintOf(err) == "" {
				t.Errorf("got %v (hint %q)", err, fault.HintOf(err))
			}
		})
	}
	t.Run("another owner", func(t *testing.T) {
		if _, err := Open(t.TempDir(), os.Getuid()+1); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("got %v", err)
		}
	})
}
