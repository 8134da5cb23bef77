package traps

import (
	"os"
	"testing"
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
