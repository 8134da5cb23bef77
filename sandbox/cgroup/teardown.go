package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"nacre/fault"
)

// brief is how long the killed may take to be gone.
const brief = 3 * time.Second

// State is what a sweeper needs to remove a group whose owner was killed.
type State struct {
	ID      string   `json:"id"`
	Folders []string `json:"folders"`
	Unit    string   `json:"unit,omitempty"` // the systemd scope
}

// State lists what there is to remove. It is worth storing before a sandbox
// is started.
func (g *Group) State() State { return State{g.id, g.folders(), g.unit} }

// name is the last element that each folder must have.
func (s State) name() string {
	if s.Unit != "" {
		return "nacre-" + s.ID + ".scope"
	}
	return "nacre-" + s.ID
}

// check refuses anything but groups of this name: a state file is no reason to
// kill somebody else's processes.
func (s State) check() error {
	for i, r := range s.ID {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || i > 0 && (r == '-' || r == '_')) {
			return fault.New(fault.Invalid, "%q is not a sandbox's id: a-z, 0-9, - and _ only", s.ID)
		}
	}
	if s.ID == "" || len(s.ID) > 64 {
		return fault.New(fault.Invalid, "a sandbox's id has 1 to 64 characters, not %d", len(s.ID))
	}
	for _, dir := range s.Folders {
		if filepath.Clean(dir) != dir || !strings.HasPrefix(dir, root+"/") || filepath.Base(dir) != s.name() ||
			strings.Count(dir, "/nacre-") != 1 || s.Unit != "" && s.Unit != s.name() {
			return fault.New(fault.Tampered, "%q is not a control group of sandbox %s", dir, s.ID)
		}
	}
	return nil
}

// Kill ends every process of the agent and waits until they are gone.
func (g *Group) Kill() error { return g.State().kill(agent) }

// kill empties the named leaves. New processes are refused first, so that a
// fork storm cannot outrun the loop where there is no cgroup.kill.
func (s State) kill(leaves ...string) error {
	if len(s.members(leaves)) == 0 {
		return nil // and nobody is there to start any
	}
	for _, f := range s.Folders {
		for _, leaf := range leaves { // only where there are such files; the loop in end is the judge
			_ = cgroups.WriteFile(filepath.Join(f, leaf), "pids.max", "0")
			_ = cgroups.WriteFile(filepath.Join(f, leaf), "cgroup.kill", "1")
		}
	}
	return s.end(leaves...)
}

// end kills the processes in the leaves one by one, but for the calling one.
func (s State) end(leaves ...string) error {
	for end := time.Now().Add(brief); ; time.Sleep(time.Millisecond) {
		left := s.members(leaves)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fault.New(fault.Leftover, "control group %s: processes %v cannot be killed", s.ID, left).
				WithHint("look at them with ps, and remove the groups when they are gone")
		}
		for _, pid := range left {
			s.strike(pid)
		}
	}
}

// members are the processes in the leaves, without the calling one.
func (s State) members(leaves []string) []int {
	var out []int
	for _, f := range s.Folders {
		for _, leaf := range leaves {
			pids, _ := cgroups.GetPids(filepath.Join(f, leaf)) // a folder that is gone is empty
			out = append(out, pids...)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(pid int) bool { return pid == os.Getpid() })
}

// strike kills one process, if that number is still one of the group's.
func (s State) strike(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	in, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if strings.Contains(string(in), "/"+s.name()+"/") {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // EPERM: another identity, which cgroup.kill reaches
	}
}

// Destroy ends every process in the leaves but the calling one, moves that back
// to where it was, and removes the groups; the error lists what could not be
// removed.
// A scope goes when systemd notices that it is empty: soon, or rootless when
// this process, which cannot go back, ends.
func (g *Group) Destroy() error {
	errs := []error{g.Kill(), g.State().end(supervisor)}
	for c, dir := range g.dirs {
		home := g.layout.Base[c]
		if g.layout.Mode == V2 {
			home = g.layout.home
		}
		if pids, _ := cgroups.GetPids(filepath.Join(dir, supervisor)); slices.Contains(pids, os.Getpid()) {
			err := cgroups.WriteCgroupProc(home, os.Getpid())
			if err != nil && g.unit != "" {
				return errors.Join(errs[0], errs[1], cgroups.RemovePath(filepath.Join(dir, agent)))
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, g.State().remove())...)
}

// Remove ends every process in a group whose owner is gone and removes its
// folders. What is not there is no error.
func Remove(s State) error {
	if err := s.check(); err != nil {
		return err
	}
	for _, dir := range s.Folders {
		if !isType(dir, unix.CGROUP_SUPER_MAGIC) && !isType(dir, unix.CGROUP2_SUPER_MAGIC) && exists(dir) {
			return fault.New(fault.Tampered, "%s is not a control group", dir)
		}
	}
	if own, err := os.ReadFile("/proc/self/cgroup"); err != nil || strings.Contains(string(own), "/"+s.name()+"/") {
		return fault.New(fault.Conflict, "sandbox %s is this process's own: it is destroyed, not removed", s.ID)
	}
	return errors.Join(s.kill(agent, supervisor, ""), s.remove())
}

// remove removes the empty folders. A scope's own is left to systemd, which
// removes it once it is empty, but may not notice if it is gone before.
func (s State) remove() error {
	var errs []error
	for _, dir := range s.Folders {
		dirs := []string{filepath.Join(dir, agent), filepath.Join(dir, supervisor), dir}
		if s.Unit != "" {
			dirs = dirs[:2]
		}
		for _, d := range dirs {
			if err := cgroups.RemovePath(d); err != nil {
				errs = append(errs, fault.Wrap(fault.Leftover, err, "control group %s: %s cannot be removed", s.ID, d))
				break
			}
		}
	}
	return errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
