package traps

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// folder is a temporary one with files in it; a content that begins with ->
// makes a link.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T, files ...string) folder {
	t.Helper()
	f := folder{t, filepath.Join(t.TempDir(), "project")}
	f.must(os.Mkdir(f.dir, 0o755))
	for _, name := range files {
		f.write(name, "before\n")
	}
	return f
}

func (f folder) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) path(name string) string { return f.dir + "/" + name }

func (f folder) write(name, content string) {
	f.t.Helper()
	f.must(os.MkdirAll(filepath.Dir(f.path(name)), 0o755))
	if target, link := strings.CutPrefix(content, "->"); link {
		f.must(os.Symlink(target, f.path(name)))
		return
	}
	f.must(os.WriteFile(f.path(name), []byte(content), 0o644))
}

func (f folder) open() *os.File {
	f.t.Helper()
	fd, err := unix.Open(f.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	f.must(err)
	dir := os.NewFile(uintptr(fd), f.dir)
	f.t.Cleanup(func() { dir.Close() })
	return dir
}

// after is what the report says of what work does to the folder.
func (f folder) after(work func()) Report {
	f.t.Helper()
	dir := f.open()
	before, err := Take(context.Background(), dir)
	f.must(err)
	work()
	report, err := Changes(context.Background(), before, dir)
	f.must(err)
	return report
}

// lines are findings in short.
func lines(r Report) (all []string) {
	for _, f := range r.Findings {
		all = append(all, fmt.Sprintf("%s %s %s %s", f.Severity, f.Change, f.Kind, f.Path))
	}
	return all
}

func expect(t *testing.T, r Report, want ...string) {
	t.Helper()
	if got := lines(r); !slices.Equal(got, want) || r.Cut != "" {
		t.Errorf("found:\n  %s\nwant:\n  %s\n%s", strings.Join(got, "\n  "), strings.Join(want, "\n  "), r.Cut)
	}
}

func TestNewByName(t *testing.T) {
	for name, want := range map[string]string{
		".git/hooks/post-checkout":          "git-hook",
		".git/config":                       "git-config",
		".git/rebase-merge/git-rebase-todo": "git-hook",
		".git/config.worktree":              "git-config",
		".git/commondir":                    "git-redirect",
		".git/info/exclude":                 "git-redirect note",
		".git/modules/a/b/hooks/x":          "",
		"sub/.git":                          "git-redirect",
		".gitmodules":                       "git-redirect",
		"a/b/.gitattributes":                "git-redirect note",
		".husky/pre-commit":                 "git-hook",
		".pre-commit-config.yaml":           "git-hook",
		".gitconfig":                        "git-config",
		".bashrc":                           "shell-startup",
		"sub/.PROFILE":                      "shell-startup",
		".zshrc":                            "shell-startup",
		".config/fish/config.fish":          "shell-startup",
		".envrc":                            "environment",
		".env":                              "environment note",
		".ssh/authorized_keys":              "environment",
		".cargo/config.toml":                "environment",
		".vscode/tasks.json":                "editor-settings",
		"x.code-workspace":                  "editor-settings",
		".editorconfig":                     "editor-settings note",
		"CLAUDE.md":                         "agent-instructions",
		"docs/AGENTS.md":                    "agent-instructions",
		".claude/hooks/run.sh":              "agent-instructions",
		".mcp.json":                         "agent-instructions",
		".github/workflows/deploy.yml":      "ci",
		".gitlab-ci.yml":                    "ci",
		"Jenkinsfile":                       "ci",
		"Makefile":                          "build-entry note",
		"web/package.json":                  "build-entry note",
		"setup.py":                          "build-entry note",
		"a/b/conftest.py":                   "build-entry note",
		"build.rs":                          "build-entry note",
		"CMakeLists.txt":                    "build-entry note",
		"App/App.csproj":                    "build-entry note",
		"main.go":                           "",
		"README.md":                         "",
		".gitignore":                        "",
		".github/CODEOWNERS":                "",
		"hooks/useState.ts":                 "",
		"config":                            "",
		"makefile.md":                       "",
		".git/refs/heads/Makefile":          "",
		".git/refs/heads/hooks/fix":         "",
		".git/hooks/commit-msg.sample":      "",
		"node_modules/a/package.json":       "",
		"node_modules/a/.vscode/x":          "",
		"node_modules/a/CLAUDE.md":          "agent-instructions",
		"node_modules/.git/hooks/x":         "git-hook",
	} {
		// The folders are there before, so that the file itself is what is new.
		f := newFolder(t, filepath.Dir(name)+"/placeholder.txt")
		r := f.after(func() { f.write(name, "x\n") })
		kind, note, _ := strings.Cut(want, " ")
		switch {
		case kind == "":
			expect(t, r)
		case note == "note":
			expect(t, r, "note new "+kind+" "+name)
		default:
			expect(t, r, "high new "+kind+" "+name)
		}
	}
}

func TestEveryRule(t *testing.T) {
	f := newFolder(t)
	want := map[Kind]bool{}
	r := f.after(func() {
		for _, rule := range rules {
			for i, name := range rule.names {
				want[rule.kind] = true
				f.write(fmt.Sprintf("%s-%d/%s", rule.kind, i, strings.ReplaceAll(name, "*", "x")), "x\n")
				if name != strings.ToLower(name) || strings.Count(name, "/") > 1 || rule.why == "" {
					t.Errorf("%q can never match, or says nothing", name)
				}
			}
		}
	})
	found := map[Kind]bool{}
	for _, finding := range r.Findings {
		found[finding.Kind] = true
	}
	if !maps.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
}

func TestByType(t *testing.T) {
	f := newFolder(t)
	r := f.after(func() {
		f.must(unix.Mkfifo(f.path("pipe"), 0o644))
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		f.must(err)
		defer unix.Close(fd)
		here, err := os.Getwd()
		f.must(err)
		f.must(os.Chdir(f.dir)) // a socket's path is short
		defer os.Chdir(here)
		f.must(unix.Bind(fd, &unix.SockaddrUnix{Name: "socket"}))
		f.write("run", "#!/bin/sh\n")
		f.must(os.Chmod(f.path("run"), 0o755|os.ModeSetuid))
		f.write("group", "#!/bin/sh\n")
		f.must(os.Chmod(f.path("group"), 0o755|os.ModeSetgid))
		f.must(os.Mkdir(f.path("shared"), 0o755))
		f.must(os.Chmod(f.path("shared"), 0o2775)) // usual for a team's folder
	})
	expect(t, r, "high new setuid group", "high new fifo pipe", "high new setuid run", "high new socket socket")
}

func TestDevice(t *testing.T) {
	f := newFolder(t)
	r := f.after(func() {
		if err := unix.Mknod(f.path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			t.Skip("needs root outside a user namespace, to make a device")
		}
	})
	expect(t, r, "high new device null")
}

func TestChanged(t *testing.T) {
	known := []string{".envrc", ".vscode/tasks.json", "Makefile", ".git/hooks/pre-commit", "docs/agent.txt"}
	long := strings.Repeat("x", maxHash+1)
	for name, c := range map[string]struct {
		work func(folder)
		want []string
	}{
		"nothing": {func(folder) {}, nil},
		"touch":   {func(f folder) { f.must(os.Chtimes(f.path(".envrc"), time.Now(), time.Now().Add(time.Hour))) }, nil},
		"the same again": {func(f folder) {
			f.must(os.Remove(f.path(".envrc")))
			f.write(".envrc", "before\n")
		}, nil},
		"away":    {func(f folder) { f.must(os.Remove(f.path(".envrc"))) }, nil},
		"content": {func(f folder) { f.write(".envrc", "beforf\n") }, []string{"high changed environment .envrc"}},
		"content with its times kept": {func(f folder) {
			st, err := os.Stat(f.path(".envrc"))
			f.must(err)
			f.write(".envrc", "beforf\n")
			f.must(os.Chtimes(f.path(".envrc"), st.ModTime(), st.ModTime()))
		}, []string{"high changed environment .envrc"}},
		"large":      {func(f folder) { f.write("Makefile", long) }, []string{"note changed build-entry Makefile"}},
		"executable": {func(f folder) { f.must(os.Chmod(f.path(".git/hooks/pre-commit"), 0o755)) }, []string{"high changed git-hook .git/hooks/pre-commit"}},
		"link instead": {func(f folder) {
			f.must(os.Remove(f.path(".envrc")))
			f.write(".envrc", "->other")
		}, []string{"high changed environment .envrc"}},
		"behind a link":     {func(f folder) { f.write("docs/agent.txt", "evil\n") }, []string{"high changed agent-instructions CLAUDE.md"}},
		"in a known folder": {func(f folder) { f.write(".vscode/launch.json", "{}") }, []string{"high new editor-settings .vscode/launch.json"}},
		"a new folder, named once": {func(f folder) {
			f.write(".cursor/rules/a", "x")
			f.write(".cursor/rules/b", "x")
		}, []string{"high new agent-instructions .cursor"}},
		"another trap in a new folder": {func(f folder) { f.write(".cursor/Makefile", "x") },
			[]string{"high new agent-instructions .cursor", "note new build-entry .cursor/Makefile"}},
		"moved": {func(f folder) { f.must(os.Rename(f.path(".envrc"), f.path("docs/.envrc"))) }, []string{"high new environment docs/.envrc"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, known...)
			f.write("CLAUDE.md", "->docs/agent.txt")
			expect(t, f.after(func() { c.work(f) }), c.want...)
		})
	}
}

// TestRepositories: whatever git takes for a repository is one, and hides
// nothing else.
func TestRepositories(t *testing.T) {
	for name, c := range map[string]struct{ files, want []string }{
		"nested":       {[]string{"lib/.git/HEAD", "lib/.git/config", "lib/.git/hooks/pre-push"}, []string{"git-redirect lib/.git", "git-config lib/.git/config", "git-hook lib/.git/hooks/pre-push"}},
		"bare":         {[]string{"lib/HEAD", "lib/objects/x", "lib/refs/x", "lib/config"}, []string{"git-redirect lib", "git-config lib/config"}},
		"worktree":     {[]string{"lib/HEAD", "lib/commondir", "lib/.bashrc"}, []string{"git-redirect lib", "shell-startup lib/.bashrc", "git-redirect lib/commondir"}},
		"no more":      {[]string{"lib/HEAD", "lib/objects/x", "lib/config"}, nil},
		"whole folder": {[]string{"HEAD", "objects/x", "refs/x", "config", ".envrc"}, []string{"git-redirect .", "environment .envrc", "git-config config"}},
		"submodule":    {[]string{".git/modules/a/HEAD", ".git/modules/a/objects/x", ".git/modules/a/refs/x", ".git/modules/a/hooks/x"}, []string{"git-redirect .git", "git-redirect .git/modules/a", "git-hook .git/modules/a/hooks/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			r := f.after(func() {
				for _, file := range c.files {
					f.write(file, "x\n")
				}
			})
			for i := range c.want {
				c.want[i] = "high new " + c.want[i]
			}
			expect(t, r, c.want...)
		})
	}
}

// TestHonestWork: what agents do all day is not told, but for build entries.
func TestHonestWork(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("needs git")
	}
	f := newFolder(t, "main.go", "Makefile", "package.json", "CLAUDE.md", ".github/workflows/ci.yml", ".vscode/settings.json", "src/app.ts")
	home := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(git, append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*"}, args...)...)
		cmd.Dir = f.dir
		cmd.Env = append(os.Environ(), "HOME="+home, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	run("init", "-q")
	run("add", ".")
	run("commit", "-q", "-m", "first")
	r := f.after(func() {
		f.write("main.go", "package main\n")
		f.write("src/new.ts", "export {}\n")
		f.write("scripts/run.sh", "#!/bin/sh\n")
		f.must(os.Chmod(f.path("scripts/run.sh"), 0o755))
		run("checkout", "-q", "-b", "hooks/makefile")
		run("add", ".")
		run("commit", "-q", "-m", "second")
		run("checkout", "-q", "-b", "Makefile", "HEAD~1")
		run("stash", "list")
		run("tag", "v1")
		run("gc", "-q")
		for i := range 50 {
			dir := fmt.Sprintf("node_modules/p%d/", i)
			for _, name := range []string{"package.json", "index.js", "Makefile", ".github/workflows/ci.yml", ".editorconfig", "binding.gyp"} {
				f.write(dir+name, "{}")
			}
			f.write(fmt.Sprintf("node_modules/.bin/p%d", i), fmt.Sprintf("->../p%d/index.js", i))
		}
		f.write("package-lock.json", "{}")
		f.write("dist/bundle ü 漢字 👩‍🚀.js", "x")
		f.write("src/routes/$id.[slug].(group)_+@v2.tsx", "x")
		run("checkout", "-q", "hooks/makefile")
	})
	expect(t, r)
}

func TestErrors(t *testing.T) {
	ctx := context.Background()
	f, other := newFolder(t, "file"), newFolder(t)
	dir := f.open()
	before, err := Take(ctx, dir)
	f.must(err)
	file, err := os.Open(f.path("file"))
	f.must(err)
	defer file.Close()
	if _, err := Take(ctx, file); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a file: %v", err)
	}
	if _, err := Changes(ctx, before, other.open()); fault.KindOf(err) != fault.Tampered {
		t.Errorf("another folder: %v", err)
	}
	if _, err := Changes(ctx, Snapshot{}, dir); fault.KindOf(err) != fault.Tampered {
		t.Errorf("no snapshot: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Take(over, dir); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("cancelled: %v", err)
	}
	if r, err := Changes(over, before, dir); err != nil || r.Cut == "" {
		t.Errorf("cancelled: %+v, %v", r, err)
	}
}
