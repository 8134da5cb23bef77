package cgroup

import (
	"errors"
	"maps"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// Moving a process by its number makes the kernel wait until no process at all
// is forking or ending: 8 to 20 ms on an idle machine, at the start and again at
// the end. There is no such wait for a v1 thread that moves itself, nor for a
// process that is born into a v2 group.

// Born calls start so that the process which start makes is the agent's from
// its first instruction. In the v1 trees the calling thread is in the agent's
// leaf meanwhile, and start must stay on that thread; v2 is a descriptor of the
// group for clone3's CLONE_INTO_CGROUP, -1 where there is none.
func (g *Group) Born(start func(v2 int) error) error {
	if g == nil {
		return start(-1)
	}
	g.bearing.Lock()
	defer g.bearing.Unlock()
	err := g.bear(agent, g.v1(false), start)
	g.born = true
	return err
}

// Beside does the same for another of Nacre's own processes for this sandbox.
func (g *Group) Beside(start func(v2 int) error) error {
	if g == nil {
		return start(-1)
	}
	g.bearing.Lock()
	defer g.bearing.Unlock()
	homes := g.v1(!g.born)
	maps.DeleteFunc(homes, func(tree, _ string) bool { return !shared(tree) })
	return g.bear(supervisor, homes, start)
}

// bear has the calling thread in a leaf of some trees meanwhile, and then back at home.
func (g *Group) bear(leaf string, homes map[string]string, start func(v2 int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	v2 := -1
	if g.layout.Mode == V2 {
		fd, err := unix.Open(g.dir(tree2, leaf), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		v2 = fd
	}
	var err error
	for tree := range homes {
		err = errors.Join(err, enter(g.dir(tree, leaf), syscall.RawSyscall))
	}
	if err == nil {
		err = start(v2)
	}
	for _, home := range homes {
		err = errors.Join(err, enter(home, syscall.RawSyscall))
	}
	return err
}

// Settled moves this process into the supervisor's leaf, where it is not there yet, and
// returns once all of it is. It stands still meanwhile: the time for that is after
// Born, while what was started builds the sandbox by itself.
func (g *Group) Settled() error {
	if g == nil {
		return nil
	}
	return g.settled()
}

// Leave begins to move this process back to where it was, since the agent's
// command has ended; Destroy does the rest.
func (g *Group) Leave() {
	if g != nil && g.layout.Mode != V2 {
		go func() { _ = g.left() }()
	}
}

// v1 are the v1 trees, and where in each this process is to be: in its leaf, or
// back where it was. A tree may have several controllers (systemd mounts cpu and
// cpuacct as one): it is where the one that is shared would have it.
func (g *Group) v1(back bool) map[string]string {
	trees := map[string]string{}
	base := g.layout.Base
	for c, dir := range base {
		if !shared(c) && (dir == base["cpu"] || dir == base["memory"]) {
			continue
		}
		if !back && shared(c) {
			dir = g.dir(c, supervisor)
		}
		if g.layout.Mode != V2 {
			trees[c] = dir
		}
	}
	return trees
}

// shared tells of a v1 tree in which something is shared between agent and
// supervisor. In the others the latter has no leaf: every folder costs its time
// at start and end.
func shared(controller string) bool { return controller == "memory" || controller == "cpu" }

// settle moves this process, with all its threads, into the supervisor's leaf
// or back to where it was.
func (g *Group) settle(back bool) error {
	if g.layout.Mode == V2 {
		dir := g.dir(tree2, supervisor)
		if back {
			dir = g.layout.home
		}
		return cgroups.WriteCgroupProc(dir, os.Getpid())
	}
	var err error
	for c, dir := range g.v1(back) {
		if !shared(c) {
			continue
		}
		e := enter(dir, syscall.AllThreadsSyscall)
		if errors.Is(e, syscall.ENOTSUP) { // a program with C in it: its threads are not all known
			e = cgroups.WriteCgroupProc(dir, os.Getpid())
		}
		err = errors.Join(err, e)
	}
	return err
}

// enter has one thread, or each, say that it moves itself.
func enter(dir string, call func(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno)) error {
	f, err := cgroups.OpenFile(dir, "tasks", os.O_WRONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	itself := []byte("0")
	var pin runtime.Pinner
	pin.Pin(&itself[0])
	defer pin.Unpin()
	if _, _, e := call(unix.SYS_WRITE, f.Fd(), uintptr(unsafe.Pointer(&itself[0])), 1); e != 0 {
		return os.NewSyscallError("write "+f.Name(), e)
	}
	return nil
}
