// Package cgroup limits what a sandbox can use, by the kernel's control
// groups: v1, hybrid and v2; made directly as root, or delegated by systemd.
//
// Each sandbox has a group, nacre-ID, with two leaves: "agent" is the sandbox,
// and "supervisor" is what Nacre itself runs for it, so that work which the
// agent causes outside is charged to it as well. Processes are only ever in
// the leaves; but in v1's freezer the group is all the agent's and has none.
// Under systemd the group is alone in a scope, nacre-ID.scope, whose own files
// stay systemd's.
//
// Where a group is follows from the id alone: Planned says it before anything
// is made, so that Remove finds also what a killed process had half made.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/cgroups"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/limits"
)

const (
	agent      = limits.Agent
	supervisor = "supervisor"
)

// Group holds one sandbox's groups. It is not for use by several goroutines
// while it is being made or destroyed, but Beside may run beside Born. A nil Group is none, which limits
// nothing: what is done with it does nothing.
type Group struct {
	state   State // names no folders that this Group has not made
	layout  Layout
	limits  nacre.Limits
	settled func() error // moves this process, once
	bearing sync.Mutex   // by one thread at a time
	born    bool         // that has begun
	left    func() error // moves it back, once
	// Delegation is the time that systemd took to make the scope; zero
	// without one.
	Delegation time.Duration
}

// New makes the groups of a sandbox, and sets and writes its limits. Then Settled
// moves the calling process into the supervisor's leaf: one supervisor
// process serves one sandbox. Where it fails, nothing is left; where the process is killed in
// it, what is left is removed with Planned.
func New(ctx context.Context, id string, l nacre.Limits) (*Group, error) {
	g := &Group{state: State{ID: id}, layout: Detect(), limits: l}
	g.settled = sync.OnceValue(func() error { return g.settle(false) })
	g.left = sync.OnceValue(g.leave)
	if err := errors.Join(g.state.check(), possible(l), g.layout.Problem()); err != nil {
		return nil, err
	}
	if err := g.build(ctx); err != nil {
		return nil, errors.Join(err, g.Destroy())
	}
	return g, nil
}

// possible refuses limits that limit nothing or that the kernel cannot hold.
func possible(l nacre.Limits) error {
	if l.Memory < 1<<20 || l.Memory > 1<<52 || !(l.CPUs >= 0.01 && l.CPUs <= 8192) || l.Processes < 1 || l.Processes > 1<<22 {
		return fault.New(fault.Invalid, "limits: %d bytes of memory, %v cpus, %d processes: expected 1 MiB to 4 PiB, 0.01 to 8192, 1 to 4194304",
			l.Memory, l.CPUs, l.Processes)
	}
	return nil
}

func (g *Group) build(ctx context.Context) error {
	planned := g.layout.planned(g.state.ID)
	for _, dir := range planned.Folders {
		if cgroups.PathExists(dir) || g.layout.Manager != "" && cgroups.PathExists(filepath.Dir(dir)) {
			return fault.New(fault.Conflict, "the control group %s exists already", dir).WithHint("remove what an earlier run left")
		}
	}
	g.state = planned
	if g.layout.Manager != "" {
		if err := g.scope(ctx); err != nil {
			return err
		}
	}
	for _, dir := range g.leaves(agent, supervisor) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return unsupported(err, "no control group can be made", "run where "+root+" is writable")
		}
	}
	if g.layout.Mode == V2 {
		dir := g.dir(tree2, "")
		// In this order: a group with processes of its own cannot pass on controllers.
		if err := errors.Join(g.settled(), enable(filepath.Dir(dir)), enable(dir)); err != nil {
			return err
		}
	}
	for _, f := range limits.Files(g.limits, g.layout.Mode == V2) {
		if err := g.write(f); err != nil {
			return unsupported(err, "the kernel refuses a limit", "ask for less than this process itself has")
		}
	}
	return nil
}

func (g *Group) write(f limits.File) error {
	err := cgroups.WriteFile(g.dir(f.Controller, f.Leaf), f.Name, f.Value)
	switch absent := errors.Is(err, fs.ErrNotExist); {
	case absent && f.Optional:
		return nil
	case absent && strings.Contains(f.Name, "sw"):
		return fmt.Errorf("the kernel does not count swap (boot with swapaccount=1, or turn swap off): %w", err)
	}
	return err
}

// enable lets what is in a v2 group have the controllers; those that are on
// already change nothing.
func enable(dir string) error {
	if err := cgroups.WriteFile(dir, "cgroup.subtree_control", "+"+strings.Join(needed[:], " +")); err != nil {
		return unsupported(err, "no controllers can be passed on in "+dir, "start Nacre from a group that has no processes of its own, or under systemd")
	}
	return nil
}

// AddAgent moves a process and its threads into the agent's leaf, before it
// runs anything that is not Nacre's. Rootless it must have been
// started after New, since only what is in the scope can be moved about in it.
func (g *Group) AddAgent(pid int) error { return g.add(agent, pid) }

func (g *Group) add(leaf string, pid int) error {
	if pid <= 0 {
		return fault.New(fault.Internal, "%d is not a process", pid)
	}
	for _, dir := range g.leaves(leaf) {
		if err := cgroups.WriteCgroupProc(dir, pid); err != nil {
			return fault.Wrap(fault.Internal, err, "control group %s: process %d cannot join %s", g.state.ID, pid, leaf)
		}
	}
	return nil
}

// Leaves are the agent's folders in the controllers' trees, in which its
// processes are and package limits looks for them.
func (g *Group) Leaves() map[string]string {
	leaves := map[string]string{}
	if g == nil {
		return leaves
	}
	for c := range g.layout.Base {
		leaves[c] = g.dir(c, agent)
	}
	return leaves
}

// Freezer is the agent's leaf in the v2 tree or in v1's freezer, which can be
// frozen; empty where there is neither. What is frozen in the latter dies only
// once it is thawed, as Kill does.
func (g *Group) Freezer() string {
	if g == nil {
		return ""
	}
	for _, c := range [...]string{tree2, freezer} {
		if _, ok := g.layout.Base[c]; ok {
			return g.dir(c, agent)
		}
	}
	return ""
}

// dir is the folder of a leaf, or of the group itself, in a controller's tree.
func (g *Group) dir(controller, leaf string) string {
	if controller == freezer {
		leaf = ""
	}
	return filepath.Join(g.layout.folder(controller, g.state.ID), leaf)
}

// leaves are the folders of the named leaves.
func (g *Group) leaves(names ...string) (out []string) {
	for c := range g.layout.Base {
		for _, name := range names {
			if name == agent || c == tree2 || shared(c) {
				out = append(out, g.dir(c, name))
			}
		}
	}
	return out
}
