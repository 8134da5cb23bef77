package native

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/sandbox/cgroup"
)

// patience is for machines that are emulated.
const patience = 3 * time.Minute

// changed is a sandbox over a folder that is about to change.
type changed struct {
	*testing.T
	dir   string
	box   nacre.Sandbox
	audit *memoryAudit
}

func overProject(t *testing.T, access nacre.Access, change ...func(*nacre.Plan)) *changed {
	t.Helper()
	c := &changed{T: t, dir: project(t)}
	e, a := newEngine(t)
	p := granted(t, c.dir, access, "sleep", "600")
	p.Limits.Time = 2 * patience
	for _, f := range change {
		f(&p)
	}
	p.Digest = compile.Digest(p)
	box, err := e.Start(context.Background(), p, nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	c.box, c.audit = box, a
	t.Cleanup(func() { _ = box.Stop(0) })
	return c
}

// events are the details of the audit's events of a kind, joined.
func (c *changed) events(kind string) (text string, n int) {
	c.audit.mu.Lock()
	defer c.audit.mu.Unlock()
	for _, e := range c.audit.events {
		if e.Kind == kind {
			text += e.Reason + " " + e.Detail["names"] + "\n"
			n++
		}
	}
	return text, n
}

// until waits for an event that names all of the names, or for the sandbox's
// end, and tells which.
func (c *changed) until(names ...string) (masked bool) {
	c.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		text, _ := c.events("mask.added")
		all := true
		for _, n := range names {
			all = all && strings.Contains(text, strconv.Quote(n))
		}
		if all {
			return true
		}
		if text, n := c.events("mask.failed"); n > 0 {
			c.Log(text)
			return false
		}
	}
	text, _ := c.events("mask.added")
	c.Fatalf("%q were neither masked nor was the sandbox ended; masked were: %s", names, text)
	return false
}

// inside runs a script in the sandbox.
func (c *changed) inside(script string) string {
	c.Helper()
	var out buffer
	_, err := c.box.Exec(context.Background(), []string{"sh", "-c", script}, nacre.Streams{Out: &out, Err: &out})
	if err != nil {
		c.Fatal(err)
	}
	return out.String()
}

func (c *changed) write(name, text string) {
	c.Helper()
	name = filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		c.Fatal(err)
	}
}

func (c *changed) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// replace saves a file as editors do: a new one, renamed over it.
func (c *changed) replace(name, text string) {
	c.Helper()
	c.write("saving~", text)
	c.must(os.Rename(filepath.Join(c.dir, "saving~"), filepath.Join(c.dir, name)))
}

// freezable tells whether this user's sandboxes can be stopped without being
// ended, so that what the owner does leads to a mask and not to the end.
func freezable() bool {
	l := cgroup.Detect()
	_, v2 := l.Base[""]
	_, v1 := l.Base["freezer"]
	return (v1 || v2) && l.Problem() == nil
}

// TestMasksUnderChange: what appears on the host with a blocked name is masked,
// or, where the sandbox cannot be frozen to see whether it was opened, ends it.
func TestMasksUnderChange(t *testing.T) {
	cases := []struct {
		name   string
		change func(c *changed)
		masks  []string
		reads  string // must show no secret
	}{
		{"a new file", func(c *changed) { c.write("sub/.env", "SECRET") }, []string{"sub/.env"}, "cat sub/.env"},
		{"a masked file is replaced", func(c *changed) { c.replace(".env", "SECRET") }, []string{".env"}, "cat .env"},
		{"a folder is moved in", func(c *changed) {
			from := filepath.Join(filepath.Dir(c.dir), "moved")
			c.must(os.MkdirAll(from+"/a/b/.ssh", 0o755))
			c.must(os.WriteFile(from+"/a/b/.ssh/id", []byte("SECRET"), 0o644))
			c.must(os.WriteFile(from+"/.npmrc", []byte("SECRET"), 0o644))
			c.must(os.Rename(from, filepath.Join(c.dir, "sub/in")))
		}, []string{"sub/in/.npmrc", "sub/in/a/b/.ssh"}, "cat sub/in/.npmrc sub/in/a/b/.ssh/*"},
		{"new folders, and at once a file in them", func(c *changed) { c.write("x/y/z/id_rsa", "SECRET") }, []string{"x/y/z/id_rsa"}, "cat x/y/z/*"},
		{"a later hard link", func(c *changed) {
			c.must(os.Link(filepath.Join(c.dir, "deep/a/b/.npmrc"), filepath.Join(c.dir, "notes")))
		}, []string{"notes"}, "cat notes"},
		{"a folder gets a blocked name", func(c *changed) {
			c.write("sub/keys/id", "SECRET")
			c.must(os.Rename(filepath.Join(c.dir, "sub/keys"), filepath.Join(c.dir, "sub/.aws")))
		}, []string{"sub/.aws"}, "cat sub/.aws/id"},
		{"in a folder that was renamed", func(c *changed) {
			c.must(os.Rename(filepath.Join(c.dir, "deep/a"), filepath.Join(c.dir, "sub/renamed")))
			c.write("sub/renamed/b/.env", "SECRET")
		}, []string{"sub/renamed/b/.env"}, "cat sub/renamed/b/.env sub/renamed/b/.npmrc sub/renamed/key"},
		{"a pipe", func(c *changed) { c.must(unix.Mkfifo(filepath.Join(c.dir, "pipe"), 0o666)) }, []string{"pipe"}, "test -p pipe && echo SECRET"},
	}
	for _, access := range []nacre.Access{nacre.Read, nacre.Write} {
		for _, one := range cases {
			t.Run(access.String()+"/"+one.name, func(t *testing.T) {
				c := overProject(t, access)
				one.change(c)
				if !c.until(one.masks...) {
					if freezable() {
						t.Fatal("ended, though it could have been masked")
					}
					if exit, err := c.box.Wait(); err != nil || exit.Reason != "blocked-name-appeared" {
						t.Errorf("ended by %+v, %v", exit, err)
					}
					return
				}
				if out := c.inside("exec 2>&1; cat .env innocent; " + one.reads); strings.Contains(out, "SECRET") {
					t.Errorf("read after it was masked:\n%s", out)
				}
				if out := c.inside("cat main.go my.env.txt"); out != "package main\nopen\n" {
					t.Errorf("what is not blocked: %q", out)
				}
			})
		}
	}
}

// TestOpenedBeforeItWasMasked: no mask takes away what is open already. Who has
// it open is ended with all the rest.
func TestOpenedBeforeItWasMasked(t *testing.T) {
	const mapping = "sub/.env 60 & while ! grep -q harmless /proc/$!/maps; do :; done; echo held; wait"
	for name, hold := range map[string]string{
		"a descriptor":        "exec 3<sub/.env; echo held; exec sleep 60",
		"a working folder":    "cd sub/.ssh2; echo held; exec sleep 60",
		"a descriptor's path": `exec python3 -c 'import os,time; os.open("sub/.env", os.O_PATH); print("held", flush=True); time.sleep(60)'`,
		"under way":           `exec python3 -c 'import os,socket,time; a,b=socket.socketpair(); f=os.open("sub/.env", 0); socket.send_fds(a,[b"x"],[f]); os.close(f); print("held", flush=True); time.sleep(60)'`,
		"not accepted": `exec python3 -c 'import os,socket,time; l=socket.socket(socket.AF_UNIX); l.bind("/tmp/s"); l.listen(); c=socket.socket(socket.AF_UNIX); c.connect("/tmp/s")
f=os.open("sub/.env", 0); socket.send_fds(c,[b"x"],[f]); os.close(f); c.close(); print("held", flush=True); time.sleep(60)'`,
		"a mapping":    mapping,
		"of two lines": mapping,
	} {
		t.Run(name, func(t *testing.T) {
			becomes := map[bool]string{false: ".env", true: ".env.one\ntwo"}[name == "of two lines"]
			if !freezable() {
				t.Skip("needs control groups that freeze: without, every such change ends the sandbox (TestMasksUnderChange)")
			}
			c := overProject(t, nacre.Read)
			program, err := os.ReadFile("/bin/sleep")
			c.must(err)
			c.must(os.WriteFile(filepath.Join(c.dir, "sub/harmless"), program, 0o755)) // becomes .env under the agent's hands
			c.write("sub/dir/x", "SECRET")
			hold = strings.NewReplacer("sub/.env", "sub/harmless", "sub/.ssh2", "sub/dir").Replace(hold)
			var out buffer
			go func() {
				_, _ = c.box.Exec(context.Background(), []string{"sh", "-c", hold}, nacre.Streams{Out: &out, Err: &out})
			}()
			for end := time.Now().Add(patience); !strings.Contains(out.String(), "held"); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal(out.String())
				}
			}
			c.must(os.Rename(filepath.Join(c.dir, "sub/harmless"), filepath.Join(c.dir, "sub", becomes)))
			c.must(os.Rename(filepath.Join(c.dir, "sub/dir"), filepath.Join(c.dir, "sub/.aws")))
			exit, err := c.box.Wait()
			if err != nil || exit.Reason != "blocked-name-appeared" {
				t.Errorf("%+v, %v", exit, err)
			}
			if text, n := c.events("mask.failed"); n != 1 || !strings.Contains(text, "the agent has it open") && !strings.Contains(text, "descriptors are under way in a socket") {
				t.Errorf("recorded: %s", text)
			}
		})
	}
}

// TestConnectedBeforeItWasMasked: no mask ends a connection that was made to a socket of
// the owner's in the moment before it had one; so the sandbox is ended.
func TestConnectedBeforeItWasMasked(t *testing.T) {
	for _, access := range []nacre.Access{nacre.Read, nacre.Write} {
		t.Run(access.String(), func(t *testing.T) {
			c := overProject(t, access)
			go func() {
				_, _ = c.box.Exec(context.Background(), []string{"python3", "-c", `
import os, socket
for _ in range(3): os.fork()
n = 0
while True:
    for name in "daemon%d" % n, "daemon%d" % (n + 1):
        s = socket.socket(socket.AF_UNIX)
        try: s.connect("/work/project/" + name)
        except PermissionError: n += 1; break
        except OSError: s.close(); continue
        s.send(b"x")
        s.recv(1)`}, nacre.Streams{})
			}()
			for n := range 60 {
				name := fmt.Sprintf("daemon%d", n)
				l, err := net.Listen("unix", filepath.Join(c.dir, name))
				if err != nil {
					t.Fatal(err)
				}
				l.(*net.UnixListener).SetUnlinkOnClose(false) // the agent goes by the names that are masked
				accepted := make(chan net.Conn, 1)
				go func() {
					conn, _ := l.Accept()
					accepted <- conn
				}()
				masked := c.until(name)
				l.Close()
				conn := <-accepted
				switch {
				case conn == nil && masked:
					continue
				case conn == nil: // ended all the same, where it cannot be frozen
					return
				}
				defer conn.Close()
				if masked {
					t.Fatalf("%s was masked, and somebody inside is connected to it", name)
				}
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.Copy(io.Discard, conn); err != nil { // until the other end is gone
					t.Errorf("it was ended, and the connection was not: %v", err)
				}
				return
			}
		})
	}
}

// TestAgentsOwnBlockedName: an agent that makes a blocked name in a folder that
// it may write loses sight of it and goes on.
func TestAgentsOwnBlockedName(t *testing.T) {
	c := overProject(t, nacre.Write)
	c.inside("exec 3>sub/.env; echo mine >&3; sleep 0.2; mkdir -p new/.aws; echo mine >new/.aws/x")
	if !c.until("sub/.env", "new/.aws") {
		t.Fatal("the sandbox was ended")
	}
	if out := c.inside("exec 2>&1; cat sub/.env new/.aws/x; rm sub/.env; echo alive"); strings.Contains(out, "mine") || !strings.HasSuffix(out, "alive\n") {
		t.Errorf("%s", out)
	}
	if b, err := os.ReadFile(filepath.Join(c.dir, "sub/.env")); err != nil || string(b) != "mine\n" {
		t.Errorf("on the host: %q, %v", b, err)
	}
	if exit, err := c.box.Exec(context.Background(), []string{"true"}, nacre.Streams{}); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestDeeperThanPaths: where no path leads, the folder that one still leads to is
// masked.
func TestDeeperThanPaths(t *testing.T) {
	c := overProject(t, nacre.Write)
	deep := `import os, time
for i in range(30):
    os.mkdir("d"*200); os.chdir("d"*200); time.sleep(0.001)
open(".env", "w").close()`
	out := c.inside("python3 -c '" + deep + "' 2>/dev/null; echo made")
	c.write("sub/.env", "SECRET")
	if !c.until("sub/.env") || out != "made\n" {
		t.Fatalf("the sandbox was ended: %s", out)
	}
	c.inside("rm -rf ddd*")
}

// TestClosedFolders: folders that an agent closes at once end nothing. What
// cannot be looked into is masked, as at the start.
func TestClosedFolders(t *testing.T) {
	c := overProject(t, nacre.Write)
	c.inside(`for i in $(seq 50); do mkdir c$i; echo x >c$i/x; echo x >c$i/.env; chmod 000 c$i; mkdir -m 000 d$i; done`)
	c.write("sub/.env", "SECRET")
	if !c.until("sub/.env") {
		t.Fatal("the sandbox was ended")
	}
	if out := c.inside("chmod 755 c* d* 2>/dev/null; cat c*/.env"); strings.Contains(out, "x\n") {
		t.Errorf("opened up again: %s", out)
	}
	_ = exec.Command("chmod", "-R", "u+rwx", c.dir).Run()
}

// TestGuardsUnderChange: what the owner saves anew while the agent works stays
// read-only for the agent, and a git folder stays in place.
func TestGuardsUnderChange(t *testing.T) {
	dir := project(t)
	c := &changed{T: t, dir: dir}
	c.write(".git/config", "[core]\n")
	c.write(".git/hooks/pre-commit", "#!/bin/sh\n")
	c.write(".vscode/settings.json", "{}\n")
	e, a := newEngine(t)
	box, err := e.Start(context.Background(), granted(t, dir, nacre.Write, "sleep", "60"), nacre.Streams{})
	c.must(err)
	c.box, c.audit = box, a
	t.Cleanup(func() { _ = box.Stop(0) })
	c.replace(".git/config", "[core]\n\tbare = false\n")
	c.replace(".vscode/settings.json", "{ }\n")
	c.must(os.Rename(dir+"/.git/hooks", dir+"/.git/hooks.old"))
	c.write(".git/hooks/pre-commit", "#!/bin/sh\n# new\n")
	c.write("sub/.env", "SECRET") // an event after all others
	if !c.until("sub/.env") {
		t.Fatal("the sandbox was ended")
	}
	out := c.inside(`exec 2>/dev/null
		echo x >>.git/config || echo refused; echo x >>.vscode/settings.json || echo refused
		echo x >.git/hooks/post-commit || echo refused; mv .git g || echo refused; ln -s sub .git2; echo x >free && echo alive`)
	if strings.Count(out, "refused") != 4 || !strings.HasSuffix(out, "alive\n") {
		t.Errorf("%s", out)
	}
	if text, _ := c.events("guard.renewed"); !strings.Contains(text, `".git/config"`) || !strings.Contains(text, `".git/hooks"`) {
		t.Errorf("it is not recorded that the agent could write: %s", text)
	}
	if out := c.inside("rm -rf m; mkdir m; ln -s ../sub m/.git; echo alive"); out != "alive\n" {
		t.Errorf("a link named .git: %q", out)
	}
	if exit, err := c.box.Exec(context.Background(), []string{"test", "-L", "m/.git"}, nacre.Streams{}); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestGuardHeldOpen: a guard takes no descriptor away, so who has one of what is
// guarded anew is ended.
func TestGuardHeldOpen(t *testing.T) {
	if !freezable() {
		t.Skip("needs control groups that freeze: without, it cannot be seen")
	}
	dir := project(t)
	c := &changed{T: t, dir: dir}
	c.write(".git/config", "[core]\n")
	c.write("sub/harmless", "[core]\n")
	e, a := newEngine(t)
	box, err := e.Start(context.Background(), granted(t, dir, nacre.Write, "sh", "-c", "exec 3>>sub/harmless; echo >held; exec sleep 60"), nacre.Streams{})
	c.must(err)
	c.box, c.audit = box, a
	t.Cleanup(func() { _ = box.Stop(0) })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "held")); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal("the agent did not open it")
		}
	}
	c.must(os.Rename(filepath.Join(dir, "sub/harmless"), filepath.Join(dir, ".git/config")))
	if exit, err := box.Wait(); err != nil || exit.Reason != "blocked-name-appeared" {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestStoppedWhileFrozen: a sandbox that stands still can be stopped like any.
func TestStoppedWhileFrozen(t *testing.T) {
	if !freezable() {
		t.Skip("needs control groups that freeze")
	}
	c := overProject(t, nacre.Write)
	b := c.box.(*box)
	file, value := "cgroup.freeze", "1"
	if _, err := os.Stat(filepath.Join(b.group.Freezer(), "freezer.state")); err == nil {
		file, value = "freezer.state", "FROZEN"
	}
	c.must(os.WriteFile(filepath.Join(b.group.Freezer(), file), []byte(value), 0))
	c.must(c.box.Stop(0))
	if exit, err := c.box.Wait(); err != nil || exit.Reason != "stopped" {
		t.Errorf("%+v, %v", exit, err)
	}
	if _, err := os.Stat(b.group.Freezer()); err == nil {
		t.Error("its group is left")
	}
}

// TestHarmlessChurn: what is not blocked costs an event and changes nothing.
func TestHarmlessChurn(t *testing.T) {
	c := overProject(t, nacre.Write)
	for i := range 10_000 {
		if name := filepath.Join(c.dir, "churn"+strconv.Itoa(i%10)); i%2 == 0 {
			c.must(os.WriteFile(name+".new", nil, 0o644))
			c.must(os.Rename(name+".new", name))
		} else {
			c.must(os.Mkdir(name+".d", 0o755))
			c.must(os.Remove(name + ".d"))
		}
	}
	c.write("last/.npmrc", "SECRET")
	if !c.until("last/.npmrc") {
		t.Fatal("the sandbox was ended")
	}
	if text, n := c.events("mask.added"); n != 1 {
		t.Errorf("%d events: %s", n, text)
	}
}

// overflow makes more events than the kernel keeps, and then one that matters.
func (c *changed) overflow(name string) {
	limit, err := strconv.Atoi(strings.TrimSpace(readFile(c.T, "/proc/sys/fs/inotify/max_queued_events")))
	c.must(err)
	if limit > 100_000 {
		c.Skipf("needs fs.inotify.max_queued_events of at most 100000; it is %d", limit)
	}
	for i := range limit + 10 { // equal events in a row would become one
		flood := filepath.Join(c.dir, "flood"+strconv.Itoa(i%2))
		c.must(os.WriteFile(flood, nil, 0o644))
		c.must(os.Remove(flood))
	}
	c.write(name, "SECRET") // no event tells of it
}

// TestOverflow: when the kernel's queue has overflown, everything is scanned.
func TestOverflow(t *testing.T) {
	c := overProject(t, nacre.Write)
	var once sync.Once
	made := make(chan struct{})
	c.audit.hook = func(e nacre.Event) { // holds up the watcher
		if e.Kind == "mask.added" {
			once.Do(func() { c.overflow("deep/a/b/.env"); close(made) })
		}
	}
	c.write("sub/.env", "SECRET")
	select {
	case <-made: // which takes minutes on an emulated machine
	case <-time.After(5 * patience):
	}
	if !c.until("deep/a/b/.env") {
		t.Fatal("the sandbox was ended")
	}
	if out := c.inside("cat deep/a/b/.env sub/.env"); strings.Contains(out, "SECRET") {
		t.Error(out)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestBeforeTheStart: nothing slips in between the scan and the first
// instruction.
func TestBeforeTheStart(t *testing.T) {
	dir := project(t)
	e, a := newEngine(t)
	p := granted(t, dir, nacre.Read, "sh", "-c", "exec 2>&1; cat sub/late/.env; echo done")
	a.hook = func(event nacre.Event) { // the start is recorded while the sandbox is built
		if event.Kind == "sandbox.start" {
			late := filepath.Join(dir, "sub/late")
			for range 500 {
				time.Sleep(time.Millisecond)
				_ = os.MkdirAll(late, 0o755)
				_ = os.WriteFile(late+"/.env", []byte("SECRET"), 0o644)
			}
		}
	}
	var out buffer
	box, err := e.Start(context.Background(), p, nacre.Streams{Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := box.Wait()
	if err != nil || exit.Code != 0 || strings.Contains(out.String(), "SECRET") || !strings.HasSuffix(out.String(), "done\n") {
		t.Errorf("%+v, %v: %s", exit, err, &out)
	}
}

// TestWatchLimit: a tree with more folders than may be watched is refused, or
// goes on at the tier, by name.
func TestWatchLimit(t *testing.T) {
	if os.Getenv("NACRE_TEST_FEW_WATCHES") == "" { // in a user namespace, which has limits of its own
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestWatchLimit$", "-test.v")
		accept := string(nacre.TierWatchdog) // to systemd it is nobody that may have a group
		for _, tier := range accepted() {
			accept += " " + string(tier)
		}
		cmd.Env = append(os.Environ(), "NACRE_TEST_FEW_WATCHES=1", "NACRE_INIT="+initPath, "NACRE_TEST_ACCEPT="+accept)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER, AmbientCaps: []uintptr{unix.CAP_SYS_RESOURCE},
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getegid(), Size: 1}},
		}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestWatchLimit") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	c := &changed{T: t, dir: project(t)}
	for i := range 64 {
		c.must(os.MkdirAll(filepath.Join(c.dir, "many", strconv.Itoa(i)), 0o755))
	}
	bound := func(what, most string) { c.must(os.WriteFile("/proc/sys/user/max_inotify_"+what, []byte(most), 0)) }
	c.unwatched("instances", func() { bound("instances", "0") })
	bound("instances", "128")
	c.unwatched("watches", func() { bound("watches", "32") })
	c.must(os.RemoveAll(filepath.Join(c.dir, "many")))
	for _, accepts := range []bool{false, true} { // over the limit later
		c := overProject(t, nacre.Write, func(p *nacre.Plan) {
			if accepts {
				p.Accepted = append(p.Accepted, nacre.TierMasksAtStart)
			}
		})
		for i := range 64 {
			c.must(os.MkdirAll(filepath.Join(c.dir, "many", strconv.Itoa(i)), 0o755))
		}
		if accepts {
			for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				if _, n := c.events("mask.unwatched"); n > 0 {
					break
				} else if time.Now().After(end) {
					t.Fatal("it is not recorded that folders are unwatched")
				}
			}
			if out := c.inside("echo alive"); out != "alive\n" {
				t.Errorf("%q", out)
			}
		} else if exit, err := c.box.Wait(); err != nil || exit.Reason != "folders-unwatched" {
			t.Errorf("%+v, %v", exit, err)
		}
	}
}

// unwatched sees that a run whose folders cannot be watched for want of these is refused,
// and where that is accepted, is recorded before it begins.
func (c *changed) unwatched(what string, exhaust func()) {
	c.Helper()
	exhaust()
	e, a := newEngine(c.T)
	p := granted(c.T, c.dir, nacre.Read, "true")
	_, err := e.Start(context.Background(), p, nacre.Streams{})
	if hint := fault.HintOf(err); fault.KindOf(err) != fault.Unsupported || !strings.Contains(hint, "--accept masks-at-start") || !strings.Contains(hint, "max_user_"+what) {
		c.Errorf("%s: %v (%s)", what, err, hint)
	}
	p.Accepted = append(p.Accepted, nacre.TierMasksAtStart)
	p.Digest = compile.Digest(p)
	box, err := e.Start(context.Background(), p, nacre.Streams{})
	c.must(err)
	if exit, err := box.Wait(); err != nil || exit.Code != 0 {
		c.Errorf("%s: %+v %v", what, exit, err)
	}
	c.audit = a
	if text, n := c.events("mask.unwatched"); n != 1 || !strings.Contains(text, "granted folders cannot be watched") {
		c.Errorf("%s: recorded: %q", what, text)
	}
}

// TestWatchLeavesNothing: the watcher's goroutine and descriptors end with the
// sandbox.
func TestWatchLeavesNothing(t *testing.T) {
	descriptors := func() (open []string) {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name())
			open = append(open, e.Name()+" "+to)
		}
		return open
	}
	once := func() {
		c := overProject(t, nacre.Read)
		c.write("sub/.env", "SECRET")
		c.until("sub/.env")
		if err := c.box.Stop(0); err != nil {
			t.Error(err)
		}
	}
	once() // what is opened once for all, Go's poller among it, is there afterwards
	before, routines := descriptors(), runtime.NumGoroutine()
	for range 3 {
		once()
	}
	// What ends is still about for a moment; what the collector closes does not add up.
	more := func() bool { return runtime.NumGoroutine() > routines || len(descriptors()) > len(before) }
	for end := time.Now().Add(5 * time.Second); more() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		runtime.GC()
	}
	if more() {
		t.Errorf("before %d goroutines, %q; after %d, %q", routines, before, runtime.NumGoroutine(), descriptors())
	}
}
