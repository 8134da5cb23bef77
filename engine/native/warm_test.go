package native

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
)

// TestWarm: every layer is on before there is a command; the start is recorded
// when it is used, which it can be once.
func TestWarm(t *testing.T) {
	e, audit := newEngine(t)
	p := planOf(t, "sh", "-c", "cat; cat /etc/machine-id; cut -d. -f1 /proc/uptime")
	ctx := context.Background()
	w, err := e.Warm(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := w.box.Posture()
	if err != nil || len(lines) < 20 {
		t.Fatalf("%d lines of posture, %v", len(lines), err)
	}
	if events := audit.seen(); len(events) != 0 {
		t.Errorf("recorded before it was used: %+v", events)
	}
	in, _ := os.Open("/dev/null")
	defer in.Close()
	var out buffer
	box, err := w.Start(ctx, nacre.Streams{In: in, Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	if events := audit.seen(); len(events) == 0 || events[0].Kind != "sandbox.start" || events[0].Sandbox != w.ID() {
		t.Errorf("recorded at its start: %+v", events)
	}
	if exit, err := box.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v: %s", exit, err, out.String())
	}
	if _, err := w.Start(ctx, nacre.Streams{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("used twice: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestWarmUnused: what is never used leaves nothing.
func TestWarmUnused(t *testing.T) {
	e, _ := newEngine(t)
	w, err := e.Warm(context.Background(), planOf(t, "true"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if list, err := e.Runs.List(); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	if err := unix.Kill(w.box.process.PID, 0); err != unix.ESRCH {
		t.Errorf("its first process: %v", err)
	}
}

// TestWarmStale: a sandbox that no longer shows and hides what a new one would
// is not used, whichever way the host changed.
func TestWarmStale(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"nothing":           func(*testing.T, string) {},
		"another folder":    func(t *testing.T, dir string) { swap(t, dir) },
		"a link instead":    func(t *testing.T, dir string) { swap(t, dir); relink(t, dir) },
		"no folder":         func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) },
		"a blocked name":    func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, ".env"), nil, 0o600)) },
		"a mask less":       func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "id_rsa"))) },
		"a new guard":       func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, ".git"), 0o755)) },
		"an ordinary file":  func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o600)) },
		"an optional place": func(t *testing.T, dir string) { must(t, os.Mkdir(dir+"-optional", 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "work")
			must(t, os.Mkdir(dir, 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "id_rsa"), nil, 0o600))
			e, audit := newEngine(t)
			p := planOf(t, "true")
			p.Blocked = []string{".env", "id_rsa"}
			p.Files = []nacre.FileGrant{
				{Host: dir, Inside: "/work", Access: nacre.Write},
				{Host: dir + "-optional", Inside: "/optional", Access: nacre.Read, Optional: true},
			}
			p.Digest = compile.Digest(p)
			w, err := e.Warm(context.Background(), p)
			must(t, err)
			change(t, dir)
			box, err := w.Start(context.Background(), nacre.Streams{})
			if harmless := name == "nothing" || name == "an ordinary file"; harmless {
				must(t, err)
				_, err = box.Wait()
				must(t, err)
				return
			}
			if fault.KindOf(err) != fault.Conflict {
				t.Errorf("used: %v", err)
			}
			if events := audit.seen(); events[len(events)-1].Kind != "sandbox.refused" {
				t.Errorf("recorded: %+v", events)
			}
			if list, err := e.Runs.List(); err != nil || len(list) != 0 {
				t.Errorf("left: %v, %v", list, err)
			}
		})
	}
}

// TestWarmBroken: a layer that fell while the sandbox stood is seen when it is used,
// though the posture is read beside the host.
func TestWarmBroken(t *testing.T) {
	e, audit := newEngine(t)
	w, err := e.Warm(context.Background(), planOf(t, "true"))
	must(t, err)
	must(t, unix.Prlimit(w.box.process.PID, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 7, Max: 7}, nil))
	if _, err := w.Start(context.Background(), nacre.Streams{}); fault.KindOf(err) != fault.Tampered {
		t.Errorf("started with another limit: %v", err)
	}
	if events := audit.seen(); len(events) == 0 || events[len(events)-1].Kind != "sandbox.refused" {
		t.Errorf("recorded: %+v", events)
	}
}

// TestWarmDied: the posture is read again before a warm sandbox is used.
func TestWarmDied(t *testing.T) {
	e, _ := newEngine(t)
	w, err := e.Warm(context.Background(), planOf(t, "true"))
	must(t, err)
	must(t, unix.Kill(w.box.process.PID, unix.SIGKILL))
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var st unix.Siginfo
		if unix.Waitid(unix.P_PID, w.box.process.PID, &st, unix.WEXITED|unix.WNOWAIT, nil) == nil {
			break
		}
	}
	if _, err := w.Start(context.Background(), nacre.Streams{}); fault.KindOf(err) != fault.Tampered {
		t.Errorf("used: %v", err)
	}
}

// swap puts another folder with the same entries in a folder's place.
func swap(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Rename(dir, dir+"-old"))
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "id_rsa"), nil, 0o600))
}

func relink(t *testing.T, dir string) {
	t.Helper()
	must(t, os.RemoveAll(dir))
	must(t, os.Symlink(dir+"-old", dir))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seen is what was recorded so far.
func (a *memoryAudit) seen() []nacre.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}
