package pool

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/audit"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/runs"
	"nacre/sandbox/layer"
)

// TestMain is also a member, where it is started as one.
func TestMain(m *testing.M) {
	dir := os.Getenv("NACRE_POOL_TEST")
	if dir == "" {
		os.Exit(m.Run())
	}
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err == nil {
		var log *audit.Log
		if log, err = audit.Open(filepath.Join(dir, "audit"), os.Geteuid()); err == nil {
			err = Serve(&native.Engine{Init: os.Getenv("NACRE_INIT"), Runs: store, Audit: log})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// members are processes of this test whose sandboxes are in dir.
func members(t *testing.T, dir string) func() *exec.Cmd {
	t.Helper()
	init := os.Getenv("NACRE_INIT")
	if init == "" {
		init = filepath.Join(t.TempDir(), "nacre-init")
		build := exec.Command("go", "build", "-o", init, "nacre/cmd/nacre-init")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return func() *exec.Cmd {
		c := exec.Command("/proc/self/exe")
		c.Env = append(os.Environ(), "NACRE_POOL_TEST="+dir, "NACRE_INIT="+init)
		return c
	}
}

func plan(t *testing.T, files []nacre.FileGrant, command ...string) nacre.Plan {
	t.Helper()
	p := nacre.Plan{
		Version: 1, Command: command, Workdir: "/home/agent", Files: files, Loopback: true,
		Image:       nacre.Image{Kind: nacre.ImageHost},
		Identity:    nacre.Identity{UID: 1000, Hostname: "box"},
		Limits:      nacre.Limits{Memory: 256 << 20, CPUs: 1, Processes: 128, OpenFiles: 256, Disk: 64 << 20, Output: 1 << 20, Time: time.Minute},
		Environment: []nacre.Variable{{Name: "PATH", Value: "/usr/bin:/bin"}},
	}
	if os.Geteuid() != 0 {
		p.Accepted = []nacre.Tier{nacre.TierWatchdog, nacre.TierOwnerUID}
	}
	if abi, err := layer.LandlockABI(); err != nil {
		p.Accepted = append(p.Accepted, nacre.TierNoLandlock)
	} else if abi < 6 {
		p.Accepted = append(p.Accepted, nacre.TierOldLandlock)
	}
	p.Digest = compile.Digest(p)
	return p
}

// full waits until as many stand ready as are to.
func full(t *testing.T, p *Pool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); p.Ready() < p.size; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d stand ready", p.Ready(), p.size)
		}
	}
}

func running(t *testing.T, dir string) (ids []string) {
	t.Helper()
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := store.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestStart(t *testing.T) {
	dir := t.TempDir()
	pl := plan(t, nil, "sh", "-c", "cat; echo to err >&2; exit 3")
	p := Open(nacre.Caller{UID: 4711, PID: 1, Name: "who asked"}, pl, 2, members(t, dir))
	defer p.Close()
	full(t, p)
	p.mu.Lock()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", p.ready[0].process.Process.Pid, Line))
	p.mu.Unlock()
	if err != nil || !strings.Contains(string(line), "flags:\t02") { // O_CLOEXEC is 02000000
		t.Errorf("what a member starts has its line to the pool: %s %v", line, err)
	}
	waiting := running(t, dir)
	var seen []string
	for range 3 {
		var out, errs bytes.Buffer
		box, err := p.Start(context.Background(), pl, nacre.Streams{In: strings.NewReader("in\n"), Out: &out, Err: &errs})
		if err != nil {
			t.Fatal(err)
		}
		exit, err := box.Wait()
		if err != nil || exit.Code != 3 || out.String() != "in\n" || errs.String() != "to err\n" {
			t.Errorf("%+v, %v, %q, %q", exit, err, out.String(), errs.String())
		}
		if slices.Contains(seen, box.ID()) {
			t.Errorf("%s was used twice", box.ID())
		}
		seen = append(seen, box.ID())
	}
	if !slices.Contains(waiting, seen[0]) || !slices.Contains(waiting, seen[1]) {
		t.Errorf("%v stood ready, %v were used", waiting, seen)
	}
	p.Close()
	if text, err := os.ReadFile(filepath.Join(dir, "audit", "audit.jsonl")); err != nil || strings.Count(string(text), `"kind":"sandbox.start"`) == 0 ||
		strings.Count(string(text), `"who asked"`) != strings.Count(string(text), `"kind":"`) {
		t.Errorf("the record does not say who asked: %v\n%s", err, text)
	}
	if left := running(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := p.Start(context.Background(), pl, nacre.Streams{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("started after the end: %v", err)
	}
}

// TestStale: what stands ready for another plan, or shows the host as it no
// longer is, is thrown away, and the command runs in one that is right.
func TestStale(t *testing.T) {
	dir, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	put("f", "old\n")
	files := []nacre.FileGrant{{Host: work, Inside: "/work", Access: nacre.Read}}
	first := plan(t, files, "cat", "/work/f")
	p := Open(nacre.Caller{}, first, 1, members(t, dir))
	defer p.Close()
	for what, now := range map[string]struct {
		plan   nacre.Plan
		change func()
		want   string
	}{
		"another plan": {plan(t, files, "echo", "other"), func() {}, "other\n"},
		"another folder": {first, func() {
			if err := os.Rename(work, work+"-old"); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(work, 0o755); err != nil {
				t.Fatal(err)
			}
			put("f", "new\n")
		}, "new\n"},
	} {
		full(t, p)
		before := running(t, dir)
		now.change()
		var out bytes.Buffer
		box, err := p.Start(context.Background(), now.plan, nacre.Streams{Out: &out})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if exit, err := box.Wait(); err != nil || exit.Code != 0 || out.String() != now.want {
			t.Errorf("%s: %+v, %v, %q", what, exit, err, out.String())
		}
		if slices.Contains(before, box.ID()) {
			t.Errorf("%s: %s had stood ready before", what, box.ID())
		}
		if _, err := p.Start(context.Background(), first, nacre.Streams{TTY: true}); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("a terminal: %v", err)
		}
		p.mu.Lock()
		p.plan = first
		p.discard()
		p.fill()
		p.mu.Unlock()
	}
}

func TestMethods(t *testing.T) {
	dir := t.TempDir()
	pl := plan(t, nil, "sleep", "1000")
	p := Open(nacre.Caller{}, pl, 1, members(t, dir))
	defer p.Close()
	box, err := p.Start(context.Background(), pl, nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := box.Usage(); err != nil || u.Started.IsZero() {
		t.Errorf("usage %+v, %v", u, err)
	}
	lines, err := box.Posture()
	if err != nil || len(lines) < 20 {
		t.Errorf("posture: %d lines, %v", len(lines), err)
	}
	if err := box.Signal(15); err != nil {
		t.Error(err)
	}
	if exit, err := box.Wait(); err != nil || exit.Signal != 15 {
		t.Errorf("%+v, %v", exit, err)
	}
	if box, err = p.Start(context.Background(), pl, nacre.Streams{}); err != nil {
		t.Fatal(err)
	}
	if err := box.Stop(0); err != nil {
		t.Error(err)
	}
	if exit, err := box.Wait(); err != nil || exit.Reason != "stopped" {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestPoolGone: a member whose pool is gone leaves nothing, used or not.
func TestPoolGone(t *testing.T) {
	dir := t.TempDir()
	pl := plan(t, nil, "sleep", "1000")
	p := Open(nacre.Caller{}, pl, 1, members(t, dir))
	defer p.Close()
	full(t, p)
	m, err := p.take(pl)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.start(nacre.Streams{}); err != nil {
		t.Fatal(err)
	}
	full(t, p)
	m.end()
	p.Close()
	if left := running(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestCannot: a plan that cannot be built is refused with the reason, by every
// start.
func TestCannot(t *testing.T) {
	dir := t.TempDir()
	pl := plan(t, []nacre.FileGrant{{Host: filepath.Join(dir, "missing"), Inside: "/x", Access: nacre.Read}}, "true")
	p := Open(nacre.Caller{}, pl, 2, members(t, dir))
	defer p.Close()
	for range 2 {
		if _, err := p.Start(context.Background(), pl, nacre.Streams{}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%v", err)
		}
	}
	forged := plan(t, nil, "true")
	forged.Command = []string{"false"}
	if _, err := p.Start(context.Background(), forged, nacre.Streams{}); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a plan that is not its digest's: %v", err)
	}
}
