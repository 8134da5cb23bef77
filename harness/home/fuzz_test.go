package home

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// found is all that is in a folder: names, kinds, contents.
func found(t *testing.T, dir string) string {
	t.Helper()
	text := ""
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		said := ""
		switch {
		case e.Type().IsRegular():
			b, wrong := os.ReadFile(path)
			said, err = string(b), wrong
		case e.Type() == fs.ModeSymlink:
			said, err = os.Readlink(path)
		case !e.IsDir():
			t.Errorf("%s is a %s", path, e.Type())
		}
		text += fmt.Sprintf("%q %s %q\n", path[len(dir):], e.Type(), said)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	return text
}

// FuzzHome: whatever stands in a home that was kept, which the agent may have written,
// nothing leaves the new one; and what was restored is kept and restored as it is.
func FuzzHome(f *testing.F) {
	packed := func(entries ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			if h.Mode = 0o755; h.Typeflag == tar.TypeReg {
				h.Size = 5
			}
			if err := w.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				io.WriteString(w, "text\n")
			}
		}
		w.Close()
		return b.Bytes()
	}
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	f.Add(packed(tar.Header{Typeflag: tar.TypeDir, Name: ".a"}, file(".a/b"), link("c", ".a/b")))
	f.Add(packed(file("../outside")))
	f.Add(packed(link("up", ".."), file("up/outside")))
	f.Add(packed(link("x", "../outside"), file("x")))
	f.Add(packed(tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "../outside"}, tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"}))
	f.Add(packed(file("a"), file("a/b"))[:1000])
	f.Fuzz(func(t *testing.T, archived []byte) {
		for r := tar.NewReader(bytes.NewReader(archived)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			if h.Size > 1<<20 {
				return // a hole of any size takes few bytes to say
			}
		}
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		for name, content := range map[string][]byte{"outside": []byte("mine"), "kept": archived} {
			if err := os.WriteFile(at(name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, home := range []string{"home", "again"} {
			if err := os.Mkdir(at(home), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		whole := restore(at("kept"), at("home"))
		entries, err := os.ReadDir(dir)
		if mine, _ := os.ReadFile(at("outside")); err != nil || len(entries) != 4 || string(mine) != "mine" {
			t.Fatalf("it went out: %v, %q", entries, mine)
		}
		is := found(t, at("home"))
		if whole != nil {
			return
		}
		if err := keep(at("home"), at("kept")); err != nil {
			if !errors.Is(err, fs.ErrPermission) {
				t.Fatal(err)
			}
			return
		}
		if err := restore(at("kept"), at("again")); err != nil {
			t.Fatal(err)
		}
		if again := found(t, at("again")); again != is {
			t.Errorf("was %s\nis  %s", is, again)
		}
	})
}
