package native

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/runs"
)

// TestSupervise is not a test: it is the supervisor that TestKilled kills.
func TestSupervise(t *testing.T) {
	dir := os.Getenv("NACRE_TEST_SUPERVISE")
	if dir == "" {
		return
	}
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Init: initPath, Runs: store, Audit: &memoryAudit{}}
	plan := granted(t, filepath.Join(dir, "folder"), nacre.Write, "sh", "-c", "(setsid sleep 4242.1 &); sleep 4242.2")
	box, err := e.Start(context.Background(), plan, nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = box.Wait()
}

// TestKilled kills one of our processes at a random moment, again and again,
// and looks for what is left once the next run has swept.
// $NACRE_TEST_KILLS sets how often.
func TestKilled(t *testing.T) {
	kills := 40
	if n, err := strconv.Atoi(os.Getenv("NACRE_TEST_KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer appearing(t, filepath.Join(dir, "folder"))()
	ours := map[string]bool{}
	for i := range kills {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestSupervise$")
		cmd.Env = append(os.Environ(), "NACRE_TEST_SUPERVISE="+dir, "NACRE_INIT="+initPath)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60_000)) * time.Microsecond)
		registered(t, store, ours)
		if i%2 == 0 {
			_ = cmd.Process.Kill()
		} else {
			killInit(cmd.Process.Pid)
			time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		}
		_ = cmd.Wait()
		registered(t, store, ours)
	}
	if _, err := store.Sweep(); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(15 * time.Second)
	left := leftovers(t, store, ours)
	for len(left) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
		left = leftovers(t, store, ours)
	}
	if len(left) > 0 {
		t.Errorf("left after %d kills: %s", kills, strings.Join(left, "\n"))
	}
}

// appearing has blocked names appear in a folder, so that sandboxes are often
// frozen and being masked when they are hit. What it returns ends that.
func appearing(t *testing.T, folder string) (stop func()) {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			name := filepath.Join(folder, ".env."+strconv.Itoa(i%3))
			_ = os.WriteFile(name, nil, 0o644)
			select {
			case <-done:
				return
			case <-time.After(500 * time.Microsecond):
				_ = os.Remove(name)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// killInit kills the sandbox's first process of a supervisor, or the
// supervisor where there is none.
func killInit(supervisor int) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", supervisor, supervisor))
	pid := supervisor
	if f := strings.Fields(string(children)); len(f) > 0 {
		pid, _ = strconv.Atoi(f[0])
	}
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
	}
}

// registered notes the sandboxes that the store knows now: the groups of other
// packages' tests, which run at the same time, are not ours to judge.
func registered(t *testing.T, store *runs.Store, ours map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		ours["nacre-"+strings.TrimPrefix(e.Name(), ".")] = true
	}
}

// leftovers lists processes, control groups and folders of ours.
func leftovers(t *testing.T, store *runs.Store, ours map[string]bool) (left []string) {
	t.Helper()
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if b, err := os.ReadFile(p); err == nil && strings.Contains(string(b), "sleep\x004242.") {
			left = append(left, p)
		}
	}
	entries, err := os.ReadDir(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "numbers" {
			left = append(left, e.Name())
		}
	}
	for _, g := range groups() {
		if ours[filepath.Base(g)] {
			left = append(left, g)
		}
	}
	return left
}

// groups are the control groups of all sandboxes on this machine.
func groups() (found []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "nacre-") {
			found = append(found, p)
		}
		return nil
	})
	return found
}
