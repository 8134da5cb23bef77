package native

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

// TestControlAfterTheEnd: a late request must not reach whatever has the
// control socket's number by then.
func TestControlAfterTheEnd(t *testing.T) {
	e, _ := newEngine(t)
	sandbox, err := e.Start(t.Context(), planOf(t, "sleep", "60"), nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	number := int(sandbox.(*box).process.Control.Fd())
	if err := sandbox.Stop(0); err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	stranger, err := unix.FcntlInt(uintptr(pair[0]), unix.F_DUPFD_CLOEXEC, number)
	if err != nil || stranger != number {
		t.Fatalf("%d instead of the socket's number, %d: %v", stranger, number, err)
	}
	defer unix.Close(stranger)
	if err := sandbox.Signal(15); err == nil {
		t.Error("a signal was sent after the end")
	}
	if n, _ := unix.Read(pair[1], make([]byte, 64)); n > 0 {
		t.Error("a stranger was told")
	}
}

// entry is an entry of a folder that need not exist.
type entry struct {
	name string
	mode fs.FileMode
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.mode.IsDir() }
func (e entry) Type() fs.FileMode          { return e.mode.Type() }
func (e entry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

// TestGitLinkRefused: a link where git looks for what it obeys can be replaced,
// or what it leads to changed (R12 in docs/REVIEW.md).
func TestGitLinkRefused(t *testing.T) {
	for link, target := range map[string]string{".git": "elsewhere.d", "sub/.git": "../elsewhere.d", ".git/hooks": "../myhooks"} {
		dir := project(t)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		e, _ := newEngine(t)
		_, err := e.Start(t.Context(), granted(t, dir, nacre.Write, "true"), nacre.Streams{})
		if fault.KindOf(err) != fault.Denied || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", link, err)
		}
		if exit, out := runPlan(t, granted(t, dir, nacre.Read, "true")); exit.Code != 0 {
			t.Errorf("%s, to read: %+v %s", link, exit, out)
		}
	}
}

func TestGuardsOfGit(t *testing.T) {
	for _, c := range []struct {
		path              string
		dir               bool
		guarded, readOnly bool
	}{
		{"/p/.git", true, true, false},
		{"/p/.GIT", true, true, false},
		{"/p/.git", false, true, true}, // a linked work tree or a submodule: it names the git folder
		{"/p/sub/.git", false, true, true},
		{"/p/.git/config", false, true, true},
		{"/p/.git/hooks", true, true, true},
		{"/p/.git/commondir", false, true, true},
		{"/p/.git/worktrees/w/commondir", false, true, true},
		{"/p/.git/worktrees/w/config.worktree", false, true, true},
		{"/p/.git/modules/m/config", false, true, true},
		{"/p/.git/modules/a/b/hooks", true, true, true},
		{"/srv/bare.git/config", false, true, true},
		{"/srv/bare.git/hooks", true, true, true},
		{"/srv/site.git/config", true, false, true}, // a work tree's folder of that name
		{"/p/.git/refs/heads/config", false, false, true},
		{"/p/config", false, false, true},
		{"/p/AGENTS.md", false, true, true},
	} {
		parts := strings.Split(strings.Trim(c.path, "/"), "/")
		last := len(parts) - 1
		mode := fs.FileMode(0o644)
		if c.dir {
			mode |= fs.ModeDir
		}
		guarded, readOnly, err := guards()(parts[:last], entry{parts[last], mode})
		if err != nil {
			t.Error(err)
		}
		if guarded != c.guarded || guarded && readOnly != c.readOnly {
			t.Errorf("%s, folder %v: guarded %v, read-only %v", c.path, c.dir, guarded, readOnly)
		}
	}
}

// TestGitFileStays: with a .git that is a file, whoever can write it says whose
// configuration and hooks git obeys.
func TestGitFileStays(t *testing.T) {
	dir := project(t)
	file := filepath.Join(dir, ".git")
	const want = "gitdir: /elsewhere\n"
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
	runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", "echo gitdir: ./evil > .git; rm -f .git; echo x > y; mv -f y .git"))
	if b, err := os.ReadFile(file); err != nil || string(b) != want {
		t.Errorf(".git is %q, %v", b, err)
	}
}

// TestGrantedGitFolder: the rules hold too where the git folder is the grant.
func TestGrantedGitFolder(t *testing.T) {
	dir := filepath.Join(project(t), ".git")
	if err := os.MkdirAll(filepath.Join(dir, "hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[core]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	runPlan(t, granted(t, dir, nacre.Write, "sh", "-c", "echo evil >> config; echo evil > hooks/pre-commit; touch done"))
	if b, _ := os.ReadFile(filepath.Join(dir, "config")); string(b) != "[core]\n" {
		t.Errorf("config is %q", b)
	}
	if _, err := os.Stat(filepath.Join(dir, "hooks/pre-commit")); err == nil {
		t.Error("a hook was planted")
	}
	if _, err := os.Stat(filepath.Join(dir, "done")); err != nil {
		t.Error(err)
	}
}

// TestSharedCountersAreBounded: inotify instances are counted for the owner
// outside too, and terminals for the whole machine.
func TestSharedCountersAreBounded(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		t.Skip("needs inotify in the kernel")
	}
	host, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	_, out := runPlan(t, planOf(t, "sh", "-c", "cat /proc/sys/user/max_inotify_instances; grep devpts /proc/self/mounts"))
	first, rest, _ := strings.Cut(out, "\n")
	if n, err := strconv.Atoi(first); err != nil || n > host/4 {
		t.Errorf("inotify instances: %q of %d", first, host)
	}
	if !strings.Contains(rest, "max=128") {
		t.Errorf("terminals: %s", rest)
	}
}

// TestAddressesAreRandomised although the owner's are not.
func TestAddressesAreRandomised(t *testing.T) {
	runtime.LockOSThread()                                                         // of which the sandbox is born
	if _, _, e := unix.RawSyscall(unix.SYS_PERSONALITY, 0x0040000, 0, 0); e != 0 { // ADDR_NO_RANDOMIZE
		t.Skipf("needs personality: %v", e)
	}
	_, out := runPlan(t, planOf(t, "cat", "/proc/self/personality"))
	_, _, _ = unix.RawSyscall(unix.SYS_PERSONALITY, 0, 0, 0)
	runtime.UnlockOSThread()
	if strings.TrimSpace(out) != "00000000" {
		t.Errorf("personality %s", out)
	}
}
