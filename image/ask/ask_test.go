package ask_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/image/ask"
	"nacre/test/programs"
)

var program string

func TestMain(m *testing.M) {
	dir, remove, err := programs.Dir()
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "nacre-image")
	code := m.Run()
	remove()
	os.Exit(code)
}

func TestDirectory(t *testing.T) {
	root := programs.Home(t)
	for _, dir := range []string{"usr", "etc", "bin"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var told bytes.Buffer
	folder, held, err := ask.Prepare(context.Background(), program, t.TempDir(), nacre.Image{Kind: nacre.ImageDirectory, Reference: root}, &told)
	if err != nil {
		t.Fatalf("%v: %s", err, told.String())
	}
	defer held.Close()
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(int(held.Fd()), &a), unix.Stat(root, &b)); err != nil || folder != root || a.Ino != b.Ino {
		t.Errorf("%s, inode %d, not %d: %v", folder, a.Ino, b.Ino, err)
	}
}

// TestRefused: what image refuses arrives with its kind and hint.
func TestRefused(t *testing.T) {
	for reference, want := range map[string]fault.Kind{"/": fault.Invalid, "relative": fault.Invalid} {
		_, _, err := ask.Prepare(context.Background(), program, t.TempDir(), nacre.Image{Kind: nacre.ImageDirectory, Reference: reference}, os.Stderr)
		if fault.KindOf(err) != want || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, hint %q", reference, err, fault.HintOf(err))
		}
	}
}

func TestNoProgram(t *testing.T) {
	for _, name := range []string{"/nonexistent", "/bin/true"} {
		if _, _, err := ask.Prepare(context.Background(), name, t.TempDir(), nacre.Image{}, os.Stderr); fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := ask.Prepare(ctx, program, t.TempDir(), nacre.Image{Kind: nacre.ImageOCI, Reference: "layout:/nonexistent"}, os.Stderr); err == nil {
		t.Error("cancelled, and yet an image")
	}
}
