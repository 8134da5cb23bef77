package npm

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/fault"
)

// layered is a layer of two packages, one of which lies within the other, with a file
// each, and a third.
var layered = []Package{{Place: "node_modules/a", Name: "a"}, {Place: "node_modules/a/node_modules/b", Name: "b"}, {Place: "node_modules/c", Name: "c"}}

func newLayer(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range layered {
		if err := os.MkdirAll(filepath.Join(dir, p.Place), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.Place, "index.js"), []byte(p.Name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// packed is an archive of what scripts made.
func packed(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = 5
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("made\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTake: what scripts made is in their package's folder then, and what follows the
// archive is nobody's.
func TestTake(t *testing.T) {
	root, dir := newLayer(t)
	text := packed(t, tar.Header{Typeflag: tar.TypeReg, Name: "index.js", Mode: 0o600}, tar.Header{Typeflag: tar.TypeReg, Name: "build/x/y", Mode: 0o4777}, tar.Header{Typeflag: tar.TypeReg, Name: "node_modules/own/x", Mode: 0})
	rest := bytes.NewReader(append(text, "more"...))
	if err := Take(rest, root, layered[0], layered); err != nil || rest.Len() != 0 {
		t.Fatalf("%v, %d left", err, rest.Len())
	}
	for name, mode := range map[string]fs.FileMode{"index.js": 0o644, "build/x/y": 0o755, "node_modules/own/x": 0o644} {
		path := filepath.Join(dir, "node_modules/a", name)
		content, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil || string(content) != "made\n" || info.Mode()&^0o022 != mode&^0o022 {
			t.Errorf("%s: %q %v %v", name, content, err, info)
		}
	}
	if err := Take(strings.NewReader(""), root, layered[0], layered); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

// TestTakeRefuses: nothing but files of the package's own is taken.
func TestTakeRefuses(t *testing.T) {
	file := func(name string) []byte { return packed(t, tar.Header{Typeflag: tar.TypeReg, Name: name}) }
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"a link":            {packed(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}), "is no file"},
		"a hard link":       {packed(t, tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "index.js"}), "is no file"},
		"a device":          {packed(t, tar.Header{Typeflag: tar.TypeChar, Name: "d"}), "is no file"},
		"a folder":          {packed(t, tar.Header{Typeflag: tar.TypeDir, Name: "d"}), "is no file"},
		"up":                {file("../c/index.js"), "there is a file"},
		"up within":         {file("x/../../c/index.js"), "there is a file"},
		"absolute":          {file("/etc/x"), "there is a file"},
		"the folder itself": {file("."), "there is a file"},
		"another's file":    {file("node_modules/b/index.js"), "belongs to another package"},
		"another's new one": {file("node_modules/b/x"), "belongs to another package"},
		"another's folder":  {file("node_modules/b"), "belongs to another package"},
		"over a folder":     {file("node_modules"), "is not taken"},
		"below a file":      {file("index.js/x"), "is not taken"},
		"too large":         {tooLarge(), "too large"},
		"no archive":        {bytes.Repeat([]byte("y\n"), 1024), "is not taken"},
		"half of one":       {file("x")[:514], "is not taken"},
	} {
		root, dir := newLayer(t)
		if err := Take(bytes.NewReader(c.text), root, layered[0], layered); fault.KindOf(err) != fault.Tampered || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		unharmed(t, dir)
	}
	var many bytes.Buffer
	w := tar.NewWriter(&many)
	for range maxMadeFiles + 1 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	root, _ := newLayer(t)
	if err := Take(&many, root, layered[0], layered); err == nil {
		t.Error("too many entries")
	}
}

// tooLarge is the beginning of a file that would have two gigabytes.
func tooLarge() []byte {
	var b bytes.Buffer
	_ = tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 2 << 30})
	return b.Bytes()
}

// unharmed: the other packages are as they were, and there are files and folders only.
func unharmed(t *testing.T, dir string) {
	t.Helper()
	for _, p := range layered[1:] {
		entries, _ := os.ReadDir(filepath.Join(dir, p.Place))
		if content, err := os.ReadFile(filepath.Join(dir, p.Place, "index.js")); err != nil || string(content) != p.Name || len(entries) != 1 {
			t.Errorf("%s was changed: %q %v", p.Place, content, err)
		}
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() && !e.Type().IsRegular() || e.Name() == taken {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
}

func FuzzTake(f *testing.F) {
	for _, name := range []string{"index.js", "../c/x", "node_modules/b/x", "a/b"} {
		f.Add(packed(f, tar.Header{Typeflag: tar.TypeReg, Name: name}))
	}
	f.Add(packed(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}, tar.Header{Typeflag: tar.TypeReg, Name: "l/x"}))
	f.Add(tooLarge())
	f.Fuzz(func(t *testing.T, text []byte) {
		root, dir := newLayer(t)
		err := Take(bytes.NewReader(text), root, layered[0], layered)
		if err != nil && fault.KindOf(err) != fault.Tampered {
			t.Fatal(err)
		}
		unharmed(t, dir)
	})
}
