package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// patience is how long processes may take to stand still: one that waits for a
// slow disk does so first.
const patience = 3 * time.Second

// control is how a kind of control group is frozen: its file for that, the one
// that says whether all stand still, and its list of threads. Orders and answers
// are first those to go on, then those to stand still.
type control struct {
	order, report, threads string
	orders, answers        [2]string
}

// control is that of the sandbox's group: v2's, or v1's freezer, in which FREEZING
// is not yet FROZEN.
func (w *Watcher) control() control {
	const state = "freezer.state"
	if _, err := os.Lstat(filepath.Join(w.box.Freezer, state)); err == nil {
		names := [2]string{"THAWED", "FROZEN"}
		return control{state, state, "tasks", names, names}
	}
	return control{"cgroup.freeze", "cgroup.events", "cgroup.threads", [2]string{"0", "1"}, [2]string{"frozen 0", "frozen 1"}}
}

// freeze has the sandbox stand still, or go on, where that can be had. What is
// frozen by v1's freezer dies only when it goes on.
func (w *Watcher) freeze(still bool) error {
	if w.still == still || w.box.Freezer == "" || !w.begun {
		return nil
	}
	w.still = still
	c, which := w.control(), 0
	if still {
		which = 1
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Microsecond) {
		// Again and again: v1 may miss a thread that is just being made.
		err := os.WriteFile(filepath.Join(w.box.Freezer, c.order), []byte(c.orders[which]), 0)
		var now []byte
		if err == nil {
			now, err = os.ReadFile(filepath.Join(w.box.Freezer, c.report))
		}
		if err == nil && strings.Contains(string(now), c.answers[which]) {
			return nil
		}
		if err == nil && time.Now().After(end) {
			err = fault.New(fault.Exhausted, "its processes do not come to a halt")
		}
		if err != nil {
			return fault.Wrap(fault.Internal, err, "the sandbox cannot be frozen")
		}
	}
}

// unopened fails where a process in the sandbox has what is masked now open: no
// mask takes that away again.
func (w *Watcher) unopened(t *Tree, names []string) error {
	reason := "there is no control group to freeze the sandbox by and see whether it was opened"
	if w.box.Freezer != "" {
		opened, err := w.opened(t.Inside, names)
		switch {
		case err != nil:
			reason = "it cannot be seen whether it was opened: " + err.Error()
		case opened:
			reason = "the agent has it open"
		default:
			return nil
		}
	}
	return fault.New(fault.Denied, "%q appeared in %s, and %s", names[0], t.Scanner.Pin.Path, reason)
}

// opened tells whether a thread of the frozen sandbox has something open beneath
// the entries of a folder. Those of the first process, which is ours, have not.
func (w *Watcher) opened(folder string, names []string) (bool, error) {
	list, err := os.ReadFile(filepath.Join(w.box.Freezer, w.control().threads))
	if err != nil {
		return false, err
	}
	for _, id := range strings.Fields(string(list)) {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/task/%s", w.box.PID, id)); err == nil {
			continue
		}
		paths, err := held("/proc/" + id)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended, and holds nothing
		}
		if err != nil {
			return false, err
		}
		for _, name := range names {
			entry := escaped(path.Join(folder, name))
			if slices.ContainsFunc(paths, func(p string) bool {
				rest, ok := strings.CutPrefix(p, entry)
				return ok && (rest == "" || rest[0] == '/' || rest == " (deleted)")
			}) {
				return true, nil
			}
		}
	}
	return false, nil
}

// escaped is a path as maps has it, where a line's end would end the line.
func escaped(path string) string { return strings.ReplaceAll(path, "\n", `\012`) }

// held lists what a thread has open, works in, or has in its memory (proc(5)), escaped.
// It fails where something is under way in a socket, which may be anything.
func held(proc string) (paths []string, err error) {
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at >= 0 {
			paths = append(paths, strings.TrimSuffix(line[at:], "\n"))
		}
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return nil, err
	}
	links := []string{"cwd", "root"}
	for _, f := range files {
		links = append(links, "fd/"+f.Name())
	}
	for _, name := range links {
		to, err := os.Readlink(filepath.Join(proc, name))
		if number, ok := strings.CutPrefix(name, "fd/"); ok && strings.HasPrefix(to, "socket:") {
			err = idle(filepath.Join(proc, "fdinfo", number))
		}
		switch {
		case err == nil:
			paths = append(paths, escaped(to))
		case !errors.Is(err, fs.ErrNotExist): // it was closed
			return nil, err
		}
	}
	return paths, nil
}

// idle fails where descriptors wait in a socket, or in those that it has not accepted
// yet, to be received.
func idle(fdinfo string) error {
	info, err := os.ReadFile(fdinfo)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(info)) {
		if n, ok := strings.CutPrefix(line, "scm_fds:"); ok && strings.TrimSpace(n) != "0" {
			return errors.New("descriptors are under way in a socket")
		}
	}
	return nil
}
