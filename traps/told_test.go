package traps

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"nacre/gitconfig"
)

// TestConfiguredElsewhere: what a repository's configuration has git run or obey beside
// its own folder is told as what lies there is.
func TestConfiguredElsewhere(t *testing.T) {
	f := newFolder(t, "scripts/hooks/pre-commit", "scripts/build", "sub/hooks/pre-push", "git.inc", "sub/.git/deep.inc", "top")
	f.write(".git/config", "[core]\n\tbare = false\n\thooksPath = \"scripts/hooks\" ; of ours\n[include]\n\tpath = ../git.inc\n\tpath = ~/x\n\tpath = ../../../outside\n[foo] path=/etc/x\n")
	f.write("sub/.git/config", "[core] HOOKSPATH=./hooks/\n[includeIf \"onbranch:main\"]\npath=deep.inc\n")
	expect(t, f.after(func() {
		for _, name := range []string{"scripts/hooks/pre-commit", "scripts/hooks/post-merge", "scripts/build", "sub/hooks/pre-push", "git.inc", "sub/.git/deep.inc", "top"} {
			f.write(name, "after\n")
		}
	}),
		"high changed git-config git.inc",
		"high new git-hook scripts/hooks/post-merge",
		"high changed git-hook scripts/hooks/pre-commit",
		"high changed git-config sub/.git/deep.inc",
		"high changed git-hook sub/hooks/pre-push")
	f = newFolder(t, "pre-commit", "sub/x")
	f.write(".git/config", "[core]\nhooksPath = .\n")
	expect(t, f.after(func() { f.write("pre-commit", "after\n"); f.write("sub/x", "after\n") }), "high changed git-hook pre-commit")
	f.must(os.Remove(f.path(".git/config")))
	f.write(".git/config", "->/etc/passwd") // never followed
	f.after(func() {})
}

// TestNamedElsewhere: so is what is not there before the run, so that nothing could guard it,
// wherever the path that names it begins, and a link that was made on the way.
func TestNamedElsewhere(t *testing.T) {
	f := newFolder(t, "tools/x", "a.go")
	home, err := filepath.EvalSymlinks(t.TempDir())
	f.must(err)
	dir, err := filepath.EvalSymlinks(f.dir)
	f.must(err)
	t.Setenv("HOME", home)
	f.write(".git/config", "[include]\n\tpath = "+dir+"/own.inc\n\tpath = ../conf/own.inc\n[filter \"x\"]\n\tclean = python3 tools/clean.py %f\n[alias]\n\ty = !go run a.go\n")
	f.write("sub/.git/config", "[core]\n\thooksPath = hooks\n")
	f.must(os.WriteFile(home+"/.gitconfig", []byte("[core]\n\thooksPath = .githooks-own\n\teditor = \""+dir+"/bin/ed\"\n"), 0o644))
	expect(t, f.after(func() {
		for _, name := range []string{"own.inc", "tools/clean.py", "tools/y", "a.go", "sub/hooks/pre-push", ".githooks-own/pre-commit", "bin/ed"} {
			f.write(name, "after\n")
		}
		f.write("conf", "->tools")
		f.write("tools/own.inc", "after\n")
	}),
		"high new git-config conf",
		"high new git-config own.inc",
		"high new git-hook .githooks-own/pre-commit",
		"high new git-hook bin/ed",
		"high new git-hook tools/clean.py",
		"high new git-hook sub/hooks/pre-push")
	before, err := Take(t.Context(), f.open())
	f.must(err)
	named := map[string]gitconfig.Use{}
	for _, n := range before.Named() {
		if !n.Missing {
			named[n.Path] = n.Use
		}
	}
	if want := map[string]gitconfig.Use{"own.inc": gitconfig.Include, "tools/own.inc": gitconfig.Include, "tools/clean.py": gitconfig.Program,
		"sub/hooks": gitconfig.Hooks, ".githooks-own": gitconfig.Hooks, "bin/ed": gitconfig.Program}; !maps.Equal(named, want) {
		t.Errorf("named: %v, want %v", named, want)
	}
}
