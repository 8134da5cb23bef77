// Package cgroup limits what a sandbox can use, by the kernel's control
// groups: v1, hybrid and v2; made directly as root, or delegated by systemd.
//
// Each sandbox has a parent group, nacre-ID, with two leaves: "agent" is the
// sandbox, and "supervisor" is what Nacre itself runs for it, so that work
// which the agent causes outside is charged to it as well. Processes are only
// ever in the leaves.
//
// A Watchdog stands in where no group can be had and the owner accepted that.
package cgroup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

const (
	agent      = "agent"
	supervisor = "supervisor"
)

// Group holds one sandbox's groups. It is not for use by several goroutines
// while it is being made or destroyed.
type Group struct {
	id       string
	layout   Layout
	unit     string            // the systemd scope, where there is one
	dirs     map[string]string // the parent group's folder, by controller
	settings []setting
	// Delegation is the time that systemd took to make the scope; zero
	// without one.
	Delegation time.Duration
}

// New makes the groups of a sandbox, sets and writes its limits, and moves the
// calling process into the supervisor's leaf: one supervisor process serves
// one sandbox. Where it fails, nothing is left.
func New(ctx context.Context, id string, l nacre.Limits) (_ *Group, err error) {
	layout := Detect()
	if err := errors.Join(State{ID: id}.check(), validate(l), layout.Problem()); err != nil {
		return nil, err
	}
	g := &Group{id: id, layout: layout, dirs: map[string]string{}, settings: settings(l, layout.Mode == V2)}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Destroy()) // only what was made here
		}
	}()
	if len(layout.Manager) > 0 {
		err = g.scope(ctx, l)
	} else {
		err = g.direct()
	}
	if err != nil {
		return nil, err
	}
	if err = g.fill(); err != nil {
		return nil, err
	}
	return g, nil
}

// direct makes the parent group in every tree.
func (g *Group) direct() error {
	for _, c := range sorted(g.layout.Base) {
		dir := filepath.Join(g.layout.Base[c], "nacre-"+g.id)
		if !slices.Contains(g.folders(), dir) {
			if err := mkdir(dir); err != nil {
				return err
			}
		}
		g.dirs[c] = dir
	}
	if g.layout.Mode == V2 {
		return enable(root)
	}
	return nil
}

// fill makes the leaves, moves this process and writes the limits.
func (g *Group) fill() error {
	for _, dir := range g.leaves(agent, supervisor) {
		if err := mkdir(dir); err != nil {
			return err
		}
	}
	if err := g.AddSupervisor(os.Getpid()); err != nil {
		return err
	}
	if g.layout.Mode == V2 { // only now: a group with processes of its own may not have leaves with limits
		if err := enable(g.dirs[tree2]); err != nil {
			return err
		}
	}
	for _, s := range g.settings {
		if s.leaf == "" && g.unit != "" {
			continue // systemd owns the scope's own files and has written them
		}
		if err := g.write(s); err != nil {
			return unsupported(err, "the kernel refuses "+s.value+" for "+s.file, "ask for less than this process itself has")
		}
	}
	return nil
}

func mkdir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fault.Wrap(fault.Conflict, err, "a control group of this name exists already").
			WithHint("remove what an earlier run left")
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS):
		return unsupported(err, "no control group can be made", "run where "+root+" is writable")
	}
	return err
}

// enable lets the leaves of a v2 group have the controllers.
func enable(dir string) error {
	on, err := cgroups.ReadFile(dir, "cgroup.subtree_control")
	var missing []string
	for _, c := range needed {
		if !slices.Contains(strings.Fields(on), c) {
			missing = append(missing, "+"+c)
		}
	}
	if len(missing) > 0 && err == nil {
		err = cgroups.WriteFile(dir, "cgroup.subtree_control", strings.Join(missing, " "))
	}
	if err != nil {
		return unsupported(err, "no controllers can be passed on in "+dir, "start Nacre from a group that has no processes of its own, or under systemd")
	}
	return nil
}

// AddAgent moves a process and its threads into the agent's leaf, before it
// runs anything that is not Nacre's. It is needed even after a start by
// AgentFD, unless that said that it is not. Rootless it must have been started
// after New, since only what is in the scope can be moved about in it.
func (g *Group) AddAgent(pid int) error { return g.add(agent, pid) }

// AddSupervisor moves another of Nacre's own processes for this sandbox.
func (g *Group) AddSupervisor(pid int) error { return g.add(supervisor, pid) }

func (g *Group) add(leaf string, pid int) error {
	if pid <= 0 {
		return fault.New(fault.Internal, "%d is not a process", pid)
	}
	for _, dir := range g.leaves(leaf) {
		if err := cgroups.WriteCgroupProc(dir, pid); err != nil {
			return fault.Wrap(fault.Internal, err, "control group %s: process %d cannot join %s", g.id, pid, leaf)
		}
	}
	return nil
}

// AgentFD opens the agent's leaf for CLONE_INTO_CGROUP; nil where there is no
// v2 tree. Whole tells that a process started by it needs no AddAgent.
func (g *Group) AgentFD() (f *os.File, whole bool) {
	dir, ok := g.dirs[tree2]
	if !ok {
		return nil, false
	}
	f, err := os.OpenFile(filepath.Join(dir, agent), unix.O_PATH|unix.O_DIRECTORY, 0)
	return f, err == nil && g.layout.Mode == V2
}

// folders are the parent groups, each once, in a stable order.
func (g *Group) folders() []string {
	var out []string
	for _, c := range sorted(g.dirs) {
		if !slices.Contains(out, g.dirs[c]) {
			out = append(out, g.dirs[c])
		}
	}
	return out
}

// leaves are the folders of the named leaves. The v1 trees in which nothing is
// shared between agent and supervisor have none for the latter: every folder
// costs its time at start and end.
func (g *Group) leaves(names ...string) []string {
	var out []string
	for _, dir := range g.folders() {
		for _, name := range names {
			if name == agent || g.layout.Mode == V2 || dir == g.dirs["memory"] || dir == g.dirs["cpu"] {
				out = append(out, filepath.Join(dir, name))
			}
		}
	}
	return out
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
