package native

import (
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzGuards: whatever is around it, git's own control files are read-only and
// a .git stays in place.
func FuzzGuards(f *testing.F) {
	for _, name := range []string{"a/.git/config", ".git", "x.git/hooks", ".GIT/Config", "a/.git/modules/x/hooks/y", ".git/worktrees/w/config.worktree", ".git/objects/config", ".vscode/tasks.json", "..git/config"} {
		f.Add(name, true)
		f.Add(name, false)
	}
	guarded := guards()
	f.Fuzz(func(t *testing.T, name string, dir bool) {
		if !fs.ValidPath(name) || name == "." {
			return
		}
		mode := fs.FileMode(0o644)
		if dir {
			mode |= fs.ModeDir
		}
		tree := fstest.MapFS{name: {Mode: mode}}
		info, err := fs.Stat(tree, name)
		if err != nil {
			return
		}
		parents := strings.Split(path.Dir(name), "/")
		if parents[0] == "." {
			parents = nil
		}
		is, readOnly, err := guarded(parents, fs.FileInfoToDirEntry(info))
		if err != nil {
			t.Fatalf("%q: %v, and it is no link", name, err)
		}
		base := strings.ToLower(path.Base(name))
		if base == ".git" && (!is || readOnly == dir) {
			t.Errorf("%q: guarded %v, read-only %v", name, is, readOnly)
		}
		top := len(parents) > 0 && strings.EqualFold(parents[len(parents)-1], ".git")
		if top && (base == "config" && !dir || base == "hooks" && dir) && (!is || !readOnly) {
			t.Errorf("%q: guarded %v, read-only %v", name, is, readOnly)
		}
	})
}
