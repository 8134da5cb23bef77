package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReally: a path is told where it leads whatever lies on the way and whatever was
// asked before: folders, links to folders, to links and to nothing, and what is not there.
func TestReally(t *testing.T) {
	at, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(at, name) }
	for _, dir := range []string{"a/b/c", "d"} {
		if err := os.MkdirAll(in(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in("a/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": "a/b", "a/b/up": "../../d", "again": "link/up", "nothing": "gone", "absolute": in("again"), "loop": "loop"} {
		if err := os.Symlink(to, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	known := map[string]string{}
	for range 2 { // the second time everything is known
		for path, real := range map[string]string{
			"a/b/c": "a/b/c", "a/file": "a/file", "link": "a/b", "link/c": "a/b/c", "link/up": "d", "link/up/new": "d/new", "again": "d", "absolute/x/y": "d/x/y",
			"nothing": "nothing", "nothing/x": "nothing/x", "a/file/x": "a/file/x", "loop/x": "loop/x", "new/link": "new/link", ".": ".",
		} {
			if got := really(in(path), known); got != in(real) {
				t.Errorf("%s: %s, expected %s", path, got, in(real))
			}
		}
	}
	if really("/", known) != "/" || really(".", known) != "." {
		t.Error("the root and the folder that one is in are themselves")
	}
}
