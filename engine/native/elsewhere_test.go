package native

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
)

// elsewhere makes a project whose repository, and whose owner, have hooks, configuration and
// programs of git's in other places of it than .git, and gives the owner's git in it.
func elsewhere(t *testing.T) (dir string, git func(args ...string) string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	dir, err := filepath.EvalSymlinks(project(t))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": "", "GIT_CONFIG_NOSYSTEM": "1"} {
		t.Setenv(name, value)
	}
	for name, text := range map[string]string{
		"tools/git/hooks/pre-commit": "#!/bin/sh\necho honest hook\n",
		"conf/git.inc":               "[includeIf \"onbranch:other\"]\n\tpath = deep.inc\n",
		"conf/deep.inc":              "[user]\n\tname = a\n",
		"scripts/clean":              "#!/bin/sh\nexec cat\n",
		"scripts/watch":              "#!/bin/sh\nexit 1\n",
		"dot/gitconfig":              "[user]\n\tname = a\n\temail = a@b\n[core]\n\tfsmonitor = ./scripts/watch\n",
		".gitattributes":             "*.txt filter=own\n",
		"x.txt":                      "x\n",
	} {
		write(t, dir, name, text)
	}
	if err := os.Symlink(dir+"/dot/gitconfig", home+"/.gitconfig"); err != nil {
		t.Fatal(err)
	}
	git = func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("init", "-q")
	git("config", "core.hooksPath", "tools/git/hooks")
	git("config", "include.path", "../conf/git.inc")
	git("config", "filter.own.clean", `"$(git rev-parse --show-toplevel)/scripts/clean" %f`)
	return dir, git
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// planting is what an agent tries with a file that git runs or obeys: to write it, to put
// another in its place, and to put another folder in the place of one above it.
const planting = `
	evil() { printf '#!/bin/sh\ntouch "$(dirname "$0")/../evil" "$HOME/evil"; exec cat\n'; }
	for f in tools/git/hooks/pre-commit conf/git.inc conf/deep.inc scripts/clean scripts/watch dot/gitconfig; do
		evil >$f; evil >>$f; rm -f $f; evil >new; chmod 755 new; mv -f new $f; ln -f new $f; ln -sf new $f; chmod 600 $f
	done
	evil >tools/git/hooks/post-checkout; evil >tools/git/hooks/pre-push
	for d in tools/git/hooks tools/git tools conf scripts dot; do
		mv $d $d.old && mkdir -p $d/git/hooks && evil >$d/pre-commit && evil >$d/git/hooks/pre-commit && evil >$d/watch
		rm -rf $d
	done
	git config core.hooksPath evil; rm -f new
	echo y >y.txt && git add y.txt && echo added; echo done`

// TestGuardsElsewhere: what git runs, or obeys as configuration, because configuration names
// it, stays as it is in a folder that the agent may write, like .git/hooks: by the
// repository's own configuration, by what that includes, also where a condition does not hold
// now, and by the owner's.
func TestGuardsElsewhere(t *testing.T) {
	dir, git := elsewhere(t)
	before := tree(t, dir, "tools", "conf", "scripts", "dot")
	_, out := runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", "exec 2>/dev/null; export HOME=/tmp GIT_CONFIG_GLOBAL=/dev/null; "+planting))
	if !strings.Contains(out, "added\n") || !strings.HasSuffix(out, "done\n") {
		t.Errorf("honest work failed:\n%s", out)
	}
	if after := tree(t, dir, "tools", "conf", "scripts", "dot"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if out := git("commit", "-m", "x"); !strings.Contains(out, "honest hook") {
		t.Errorf("the hook did not run, so nothing is shown: %s", out)
	}
	git("status")
	git("checkout", "-q", "-b", "other")
	for _, name := range []string{dir + "/tools/evil", dir + "/evil", os.Getenv("HOME") + "/evil"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("the owner's git made %s", name)
		}
	}
	if text, err := os.ReadFile(dir + "/.git/config"); err != nil || strings.Contains(string(text), "evil") {
		t.Errorf("%s, %v", text, err)
	}
}

// tree lists all that is in some folders, and what it says.
func tree(t *testing.T, dir string, folders ...string) string {
	t.Helper()
	var b strings.Builder
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			b.WriteString(strings.TrimPrefix(name, dir) + " " + info.Mode().String() + "\n")
			if info.Mode().IsRegular() && err == nil {
				text, err := os.ReadFile(name)
				b.Write(text)
				return err
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	return b.String()
}

// TestGuardsElsewhereRefused: a link on the way cannot be guarded, so that the folder is not
// given to write.
func TestGuardsElsewhereRefused(t *testing.T) {
	dir, _ := elsewhere(t)
	if err := os.Rename(dir+"/conf/git.inc", dir+"/conf/real.inc"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.inc", dir+"/conf/git.inc"); err != nil {
		t.Fatal(err)
	}
	e, _ := newEngine(t)
	_, err := e.Start(t.Context(), granted(t, dir, nacre.Write, "true"), nacre.Streams{})
	if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "include.path") || fault.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	if exit, out := runPlan(t, granted(t, dir, nacre.Read, "true")); exit.Code != 0 {
		t.Errorf("to read: %+v %s", exit, out)
	}
}

// TestGuardsElsewhereUnderChange: what the owner saves anew while the agent works is guarded
// anew, and a sandbox that stood ready is given up where the configuration names more.
func TestGuardsElsewhereUnderChange(t *testing.T) {
	dir, git := elsewhere(t)
	c := &changed{T: t, dir: dir}
	e, a := newEngine(t)
	box, err := e.Start(context.Background(), granted(t, dir, nacre.Write, "sleep", "60"), nacre.Streams{})
	c.must(err)
	c.box, c.audit = box, a
	t.Cleanup(func() { _ = box.Stop(0) })
	c.replace("scripts/clean", "#!/bin/sh\nexec cat # new\n")
	c.write("sub/.env", "SECRET") // an event after all others
	if !c.until("sub/.env") {
		if freezable() {
			t.Fatal("the sandbox was ended")
		}
		return
	}
	out := c.inside("exec 2>/dev/null; echo x >>scripts/clean || echo refused; mv scripts s || echo refused; echo x >free && echo alive")
	if out != "refused\nrefused\nalive\n" {
		t.Errorf("%s", out)
	}
	if text, _ := c.events("guard.renewed"); !strings.Contains(text, `"scripts/clean"`) {
		t.Errorf("it is not recorded that the agent could write: %s", text)
	}
	ready, err := e.Warm(context.Background(), granted(t, dir, nacre.Write, "true"))
	c.must(err)
	git("config", "core.attributesFile", "x.txt")
	if _, err := ready.Start(context.Background(), nacre.Streams{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("one that stood ready: %v", err)
	}
}

// TestGuardsOfSubmodules: a folder above git's control files cannot be moved away either, for
// another to take its place.
func TestGuardsOfSubmodules(t *testing.T) {
	dir := project(t)
	for _, name := range []string{".git/HEAD", ".git/config", ".git/modules/a/b/config", ".git/modules/a/b/hooks/pre-commit", ".git/worktrees/w/commondir"} {
		write(t, dir, name, "honest\n")
	}
	before := tree(t, dir, ".git")
	exit, out := runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", `exec 2>/dev/null; cd .git
		for d in modules/a/b modules/a modules worktrees/w worktrees; do mv $d old && mkdir -p $d/b/hooks; rm -rf $d; rm -rf old; done; echo done`))
	if after := tree(t, dir, ".git"); exit.Code != 0 || out != "done\n" || after != before {
		t.Errorf("%+v %s\nbefore:\n%s\nafter:\n%s", exit, out, before, after)
	}
}
