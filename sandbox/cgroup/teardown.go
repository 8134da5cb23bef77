package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"nacre/fault"
)

// brief is how long the killed may take to be gone.
const brief = 3 * time.Second

var identifier = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// State is what a sweeper needs to remove a group whose owner was killed.
type State struct {
	ID      string   `json:"id"`
	Folders []string `json:"folders"`
}

// Planned is the state of a group that New is yet to make. It is to be stored
// before that: whatever New has made when it is killed, Remove then finds.
func Planned(id string) State { return Detect().planned(id) }

// check refuses anything but groups of this name: a state file is no reason to
// kill somebody else's processes.
func (s State) check() error {
	if len(s.ID) > 64 || !identifier.MatchString(s.ID) {
		return fault.New(fault.Invalid, "%q is not a sandbox's id: 1 to 64 of a-z, 0-9, - and _", s.ID)
	}
	for _, dir := range s.Folders {
		name := "/nacre-" + s.ID
		base := outside(dir)
		if filepath.Clean(dir) != dir || base != root && !strings.HasPrefix(base, root+"/") ||
			dir != base+name && dir != base+name+".scope"+name {
			return fault.New(fault.Tampered, "%q is not a control group of sandbox %s", dir, s.ID)
		}
	}
	return nil
}

// Kill ends every process of the agent and waits until they are gone.
func (g *Group) Kill() error {
	if g == nil {
		return nil
	}
	return g.state.kill(agent)
}

// kill empties the named leaves, but for the calling process. New processes
// are refused first, so that a fork storm cannot outrun the loop where there
// is no cgroup.kill.
func (s State) kill(leaves ...string) error {
	for end := time.Now().Add(brief); ; time.Sleep(time.Millisecond) {
		left := s.members(leaves...)
		if len(left) == 0 {
			return nil // and nobody is there to start any
		}
		if time.Now().After(end) {
			return fault.New(fault.Leftover, "control group %s: processes %v cannot be killed", s.ID, left).
				WithHint("look at them with ps, and remove the groups when they are gone")
		}
		for _, f := range s.Folders {
			for _, leaf := range leaves {
				if leaf == agent || !s.holds(os.Getpid()) { // where there are such files; the next round is the judge
					_ = cgroups.WriteFile(filepath.Join(f, leaf), "pids.max", "0")
					_ = cgroups.WriteFile(filepath.Join(f, leaf), "cgroup.kill", "1")
				}
			}
		}
		for _, pid := range left {
			s.strike(pid)
		}
		for _, f := range s.Folders { // v1's freezer holds up death itself; all are struck before any goes on
			_ = cgroups.WriteFile(f, "freezer.state", "THAWED")
		}
	}
}

// members are the processes in the leaves, without the calling one.
func (s State) members(leaves ...string) (out []int) {
	for _, f := range s.Folders {
		for _, leaf := range leaves {
			pids, _ := cgroups.GetPids(filepath.Join(f, leaf)) // a folder that is gone is empty
			out = append(out, pids...)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(pid int) bool { return pid == os.Getpid() })
}

// strike kills one process, if that number is still one of the group's once it
// is held by a descriptor.
func (s State) strike(pid int) {
	p, _ := os.FindProcess(pid) // never fails here
	defer p.Release()
	if s.holds(pid) {
		_ = p.Kill() // EPERM: another identity, which cgroup.kill reaches
	}
}

func (s State) holds(pid int) bool {
	in, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return strings.Contains(string(in), "/nacre-"+s.ID+"/")
}

// Destroy ends every process in the leaves but the calling one, moves that back
// to where it was, and removes the groups; the error lists what could not be
// removed. A scope goes when systemd notices that it is empty, or is told: or,
// rootless, when this process, which cannot go back, ends.
func (g *Group) Destroy() error {
	if g == nil {
		return nil
	}
	if g.layout.Manager == "" && g.left() == nil && g.state.vanish() {
		return nil
	}
	errs := []error{g.Kill(), g.state.kill(supervisor), g.left()}
	if g.layout.Manager != "" && g.state.holds(os.Getpid()) {
		return errors.Join(errs[0], errs[1], g.state.remove(agent))
	}
	return errors.Join(append(errs, g.state.remove(""), g.state.unscope(noticing))...)
}

// noticing is how long systemd may take to notice that a scope is empty, which it
// as a rule does at once.
const noticing = 50 * time.Millisecond

// unscope sees that the scopes of removed groups go, soon by themselves.
func (s State) unscope(soon time.Duration) error {
	var errs []error
	for _, dir := range s.Folders {
		scope := filepath.Dir(dir)
		if filepath.Base(scope) != "nacre-"+s.ID+".scope" { // nobody else's, such as a session's
			continue
		}
		for end := time.Now().Add(soon); cgroups.PathExists(scope) && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if cgroups.PathExists(scope) {
			errs = append(errs, stopScope(scope))
		}
	}
	return errors.Join(errs...)
}

// vanish removes the groups where nobody is in them any more: the kernel removes
// no others.
func (s State) vanish() bool {
	for _, dir := range s.Folders {
		for _, leaf := range []string{agent, supervisor, ""} {
			if err := unix.Rmdir(filepath.Join(dir, leaf)); err != nil && err != unix.ENOENT {
				return false
			}
		}
	}
	return true
}

// leave moves this process back to where it was.
func (g *Group) leave() error {
	settled := g.born && g.settled() == nil // it may be under way
	if !settled && !g.state.holds(os.Getpid()) {
		return nil
	}
	return g.settle(true)
}

// Remove ends every process in a group whose owner is gone and removes its
// folders, and its scope, however much of them there is.
func Remove(s State) error {
	if err := s.check(); err != nil {
		return err
	}
	if s.holds(os.Getpid()) {
		return fault.New(fault.Conflict, "sandbox %s is this process's own: it is destroyed, not removed", s.ID)
	}
	return errors.Join(s.kill(agent, supervisor), s.remove(""), s.unscope(0))
}

// remove removes the groups, or a leaf of them.
func (s State) remove(leaf string) error {
	var errs []error
	for _, dir := range s.Folders {
		if err := cgroups.RemovePath(filepath.Join(dir, leaf)); err != nil {
			errs = append(errs, fault.Wrap(fault.Leftover, err, "control group %s: %s cannot be removed", s.ID, dir))
		}
	}
	return errors.Join(errs...)
}
