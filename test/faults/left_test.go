package faults

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// note remembers which sandboxes there have been.
func (k *killer) note() {
	entries, _ := os.ReadDir(k.runs)
	for _, e := range entries {
		if name := strings.TrimPrefix(e.Name(), "."); len(name) == 8 {
			k.seen["nacre-"+name] = true
		}
	}
}

// machine is what of this machine no sandbox may change.
func (k *killer) machine() string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		k.Fatal(err)
	}
	return string(mounts)
}

// check lets the next run sweep, and looks at everything that could be left.
func (k *killer) check(before string) {
	k.Helper()
	k.sweep()
	left := k.left()
	for late := time.Now().Add(15 * time.Second); len(left) > 0 && time.Now().Before(late); left = k.left() {
		// Who was killed while it started a process lives on in that until it
		// executes, which on a busy machine the first sweep may not see the end of.
		time.Sleep(500 * time.Millisecond)
		k.sweep()
	}
	if k.machine() != before {
		left = append(left, "mounts:\n"+k.machine()+"\nbefore:\n"+before)
	}
	if out, err := k.nacre("audit", "verify").CombinedOutput(); err != nil {
		left = append(left, fmt.Sprintf("the audit does not verify: %v\n%s", err, out))
	}
	if len(left) > 0 {
		k.Fatalf("left after %v:\n%s", k.done, strings.Join(left, "\n"))
	}
}

// sweep is what any start does first.
func (k *killer) sweep() {
	k.Helper()
	if out, err := k.nacre("run", "-q", "--", "true").CombinedOutput(); err != nil {
		k.Errorf("the run that sweeps: %v\n%s", err, out)
	}
}

func (k *killer) left() []string {
	return slices.Concat(k.processes(), k.groups(), k.files(), k.sockets())
}

// processes lists what this process has adopted and what of it still lives. A
// process that is gone takes its namespaces and detached mounts along.
func (k *killer) processes() (left []string) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err != nil || pid <= 0 {
			break
		}
	}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		b, _ := os.ReadFile(file)
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == fmt.Sprint(os.Getpid()) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			left = append(left, fmt.Sprintf("process %s %s %q", filepath.Dir(file), f[0], line))
		}
	}
	return left
}

// groups lists control groups of ours, in every hierarchy.
func (k *killer) groups() (left []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && k.seen[strings.TrimSuffix(d.Name(), ".scope")] {
			left = append(left, "control group "+p)
		}
		return nil
	})
	return left
}

// files lists what lies in the folders of runs and of the owner, but for what
// belongs there.
func (k *killer) files() (left []string) {
	belongs := []string{".lock", "numbers"}
	for _, dir := range []string{k.runs, k.home, filepath.Join(k.home, "project"), filepath.Join(k.home, ".local/state/nacre")} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".env.") && !slices.Contains(append(belongs, "agent.yaml", "policy.yaml", ".local", "project", "project2", "project3", "audit", "run", "logs", ".config", ".cache"), e.Name()) {
				left = append(left, "file "+filepath.Join(dir, e.Name()))
			}
		}
	}
	return left
}

// sockets lists Unix sockets in the folder of runs.
func (k *killer) sockets() (left []string) {
	b, _ := os.ReadFile("/proc/net/unix")
	for line := range strings.Lines(string(b)) {
		for id := range k.seen {
			if strings.Contains(line, strings.TrimPrefix(id, "nacre-")+"/socket") {
				left = append(left, "socket "+strings.TrimSpace(line))
			}
		}
	}
	return left
}
