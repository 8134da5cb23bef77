package native

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/policy"
)

// project makes a folder with honest and secret things in it.
func project(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	for name, content := range map[string]string{
		"main.go":         "package main\n",
		"sub/data.txt":    "data\n",
		".env":            "SECRET-env\n",
		"sub/.ssh/id":     "SECRET-ssh\n",
		"sub/ID_RSA":      "SECRET-rsa\n",
		"deep/a/b/.npmrc": "SECRET-npm\n",
		"my.env.txt":      "open\n",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range [][2]string{{".env", "innocent"}, {"sub/ID_RSA", "deep/a/key"}} {
		if err := os.Link(filepath.Join(dir, l[0]), filepath.Join(dir, l[1])); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func granted(t testing.TB, host string, access nacre.Access, command ...string) nacre.Plan {
	t.Helper()
	p := planOf(t, command...)
	p.Files = []nacre.FileGrant{{Host: host, Inside: "/work/project", Access: access}}
	p.Identity.HostFolders = true
	p.Workdir = "/work/project"
	p.Blocked = policy.BuiltIn()
	p.Digest = compile.Digest(p)
	return p
}

func TestFolderRead(t *testing.T) {
	dir := project(t)
	exit, out := runPlan(t, granted(t, dir, nacre.Read, "sh", "-c",
		"cat main.go sub/data.txt my.env.txt; ls -A; echo x > new || echo refused; rm main.go || echo refused"))
	if exit.Code != 0 || strings.Count(out, "refused") != 2 {
		t.Errorf("%+v\n%s", exit, out)
	}
	for _, line := range []string{"package main\n", "data\n", "open\n"} { // what is refused is said in between
		if !strings.Contains(out, line) {
			t.Errorf("lacks %q:\n%s", line, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "main.go")); err != nil {
		t.Error(err)
	}
}

func TestFolderWrite(t *testing.T) {
	dir := project(t)
	exit, out := runPlan(t, granted(t, dir, nacre.Write, "sh", "-ec",
		"echo hello > new; mkdir d; mv sub/data.txt d/; chmod 600 new; ln -s /etc/passwd link; chmod 4755 new || echo refused; mknod n c 1 3 || echo refused"))
	if exit.Code != 0 || strings.Count(out, "refused") != 2 {
		t.Errorf("%+v\n%s", exit, out)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "new"), &st); err != nil || int(st.Uid) != os.Geteuid() || st.Mode&0o7777 != 0o600 {
		t.Errorf("new file: owner %d, mode %o, %v", st.Uid, st.Mode, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "d/data.txt")); err != nil || string(b) != "data\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestMasks: what is blocked stays unreadable, whatever the agent tries with a
// folder that it may write.
func TestMasks(t *testing.T) {
	dir := project(t)
	listener, err := net.Listen("unix", filepath.Join(dir, "daemon"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, out := runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", `exec 2>&1
		cat .env innocent sub/.ssh/id sub/ID_RSA deep/a/key deep/a/b/.npmrc
		chmod 644 .env innocent; chmod 755 sub/.ssh; cat .env innocent sub/.ssh/*
		mv .env env2; rm -f .env; cp .env copy; ln .env hard; mv sub sub2; cat sub2/.ssh/id sub2/ID_RSA
		mv deep/a deep/c; cat deep/c/key deep/c/b/.npmrc
		umount .env; umount -l sub2/.ssh
		python3 -c 'import socket; s=socket.socket(socket.AF_UNIX); s.connect("daemon"); print("CONNECTED")'
		find . -type f -exec cat {} +; tar cf - . | grep -a SECRET; echo done`))
	if strings.Contains(out, "SECRET") || strings.Contains(out, "CONNECTED") || !strings.HasSuffix(out, "done\n") {
		t.Errorf("a masked entry was read:\n%s", out)
	}
	for _, name := range []string{".env", "innocent"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != "SECRET-env\n" {
			t.Errorf("%s on the host: %q, %v", name, b, err)
		}
	}
}

// TestMasksAcrossFolders: what is masked in one granted folder is so by its further names
// in another, whichever comes first, also one that is made while the agent runs.
func TestMasksAcrossFolders(t *testing.T) {
	one, dir, three := t.TempDir(), project(t), t.TempDir()
	for _, other := range []string{one, three} {
		if err := os.Link(filepath.Join(dir, ".env"), filepath.Join(other, "notes")); err != nil {
			t.Fatal(err)
		}
	}
	p := granted(t, dir, nacre.Write, "sh", "-c", `exec 2>&1; cat /one/notes /three/notes; echo begun >/one/begun
		until test -e /three/later; do sleep 0.05; done; while cat /three/later >/dev/null; do sleep 0.05; done; cat /three/later; echo done`)
	first, last := p.Files[0], p.Files[0]
	first.Host, first.Inside, last.Host, last.Inside = one, "/one", three, "/three"
	p.Files = []nacre.FileGrant{first, p.Files[0], last}
	p.Digest = compile.Digest(p)
	go func() {
		for _, err := os.Stat(filepath.Join(one, "begun")); err != nil && t.Context().Err() == nil; _, err = os.Stat(filepath.Join(one, "begun")) {
			time.Sleep(10 * time.Millisecond)
		}
		_ = os.Link(filepath.Join(dir, ".env"), filepath.Join(three, "later"))
	}()
	_, out := runPlan(t, p)
	if strings.Contains(out, "SECRET") || !strings.HasSuffix(out, "done\n") {
		t.Errorf("a masked file was read by another name:\n%s", out)
	}
}

// TestMasksInAnyFolder: what a folder is called keeps no run from starting, and no name
// beneath it from being masked: the kernel's list of mounts has the name as it is.
func TestMasksInAnyFolder(t *testing.T) {
	dir := project(t)
	for _, name := range []string{"French\u00a0name", "a\v\f\r", "b \n\t\\040", "\u2028\u0085", "\xff", "\ufffd"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, ".env"), []byte("SECRET-env\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exit, out := runPlan(t, granted(t, dir, nacre.Read, "sh", "-c", `find . -name .env -exec cat {} + 2>&1; echo done`))
	if exit.Code != 0 || strings.Contains(out, "SECRET") || !strings.HasSuffix(out, "done\n") {
		t.Errorf("%+v:\n%s", exit, out)
	}
}

func TestFolderRefused(t *testing.T) {
	dir := project(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]fault.Kind{
		link: fault.Denied, link + "/sub": fault.Denied, fifo: fault.Denied,
		dir + "/none": fault.NotFound, "/proc/sys": fault.Denied,
		"/" + strings.Repeat("x/", 3000) + "x": fault.Invalid,
	} {
		e, a := newEngine(t)
		_, err := e.Start(context.Background(), granted(t, host, nacre.Read, "true"), nacre.Streams{})
		if err == nil || fault.KindOf(err) != want {
			t.Errorf("%.60s: %v, want %v", host, err, want)
		}
		if left, err := e.Runs.List(); err != nil || len(left) != 0 {
			t.Errorf("%.60s leaves %v, %v", host, left, err)
		}
		if n := len(a.events); n == 0 || a.events[n-1].Kind != "sandbox.refused" {
			t.Errorf("%.60s: not recorded: %+v", host, a.events)
		}
	}
}

// TestOwnWorkspaceDeleted: an agent may empty its folder, not remove it.
func TestOwnWorkspaceDeleted(t *testing.T) {
	dir := project(t)
	_, out := runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", "cd /; rm -rf /work/project; ls -d /work/project; ls -A /work/project"))
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(dir, ".env")); err != nil || string(b) != "SECRET-env\n" {
		t.Errorf("a masked file is gone: %v\n%s", err, out)
	}
}

// TestGuards: what git, editors and other agents would run later stays as it
// is in a folder that the agent may write, and honest work with git goes on.
func TestGuards(t *testing.T) {
	dir := project(t)
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("init", "-q")
	git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first")
	for name, content := range map[string]string{"CLAUDE.md": "be good\n", ".vscode/settings.json": "{}\n", ".git/hooks/pre-commit": "#!/bin/sh\n"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	exit, out := runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", `
		export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x
		touch done && git add done main.go && git commit -q -m second && git checkout -q -b other && echo committed
		echo evil >> .git/hooks/pre-commit; echo evil > .git/hooks/post-checkout; rm -rf .git/hooks; mv .git/hooks .git/h2
		git config core.fsmonitor evil; mv .git .git2; rm -rf .vscode; echo evil >> CLAUDE.md
		echo evil > x; mv x CLAUDE.md; mv -f x .git/config; ln -f x .git/config; echo evil > .vscode/settings.json; mv .vscode v2; true`))
	if !strings.Contains(out, "committed") {
		t.Errorf("honest work failed: %+v\n%s", exit, out)
	}
	if log := git("log", "--oneline", "other"); strings.Count(log, "\n") != 2 {
		t.Errorf("log: %s", log)
	}
	for name, want := range map[string]string{"CLAUDE.md": "be good\n", ".vscode/settings.json": "{}\n", ".git/hooks/pre-commit": "#!/bin/sh\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".git/hooks/post-checkout")); err == nil {
		t.Error("a hook was planted")
	}
	if b, err := os.ReadFile(filepath.Join(dir, ".git/config")); err != nil || strings.Contains(string(b), "evil") {
		t.Errorf(".git/config: %q, %v", b, err)
	}
}
