package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox/spawn"
)

// Mapping is how the agent's identity inside becomes one outside.
type Mapping struct {
	Inside int
	UID    int // outside
	GID    int // outside
	// Helper maps ids that are not the caller's own, where that is not root. What it
	// did package posture reads back.
	Helper func(pid, inside, uid, gid int) error
}

// Order is all that a launch needs.
type Order struct {
	Init string // path of nacre-init
	// Spec is asked for once the process has begun, and encoded: what it says of a
	// gateway takes that a while to tell.
	Spec    func() ([]byte, error)
	Files   []*os.File // descriptors that Spec.Trees refer to, from blueprint.FirstFD
	Map     Mapping
	Regroup bool // as in the Spec
	// Born calls its argument so that what that starts is born into the sandbox's
	// control groups (package cgroup).
	Born func(start func(v2 int) error) error
}

// Process is the first process of a sandbox, seen from outside. When it ends, the
// kernel ends all others of the sandbox first.
type Process struct {
	*spawn.Child
	Control *os.File // the control socket, the caller's to close
}

// namespaces are the ones that the process is born into; the cgroup namespace
// follows once it is in its group.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// building is what building a sandbox takes, inside its own user namespace.
// Ambient, because no id is mapped yet that execve would give them to.
const building = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID |
	1<<unix.CAP_SETPCAP | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_SYS_RESOURCE | 1<<unix.CAP_SYS_TIME

// Launch starts nacre-init in its namespaces, gives it its identity and its
// group, and lets it build. It returns before the sandbox is built: the
// messages on Control tell what follows.
func Launch(o Order) (*Process, error) {
	spec, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer spec.Close()
	defer pipe.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// An init that was taken over need not take what is to end it.
	_ = unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 5})
	theirs := os.NewFile(uintptr(pair[1]), "control")
	defer theirs.Close()
	p := &Process{Control: os.NewFile(uintptr(pair[0]), "control")}
	err = o.Born(func(v2 int) (err error) {
		p.Child, err = spawned(o, theirs, spec, v2)
		return err
	})
	spec.Close() // init's alone: else nobody told whoever writes to it that init is gone
	if err == nil {
		err = p.admit(o, pipe)
	}
	if err != nil {
		if p.Child != nil {
			_ = p.End()
		}
		p.Control.Close()
		return nil, err
	}
	return p, nil
}

// spawned starts nacre-init with its descriptors, no environment and what
// building takes.
func spawned(o Order, control, spec *os.File, v2 int) (*spawn.Child, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	var p spawn.Program
	p.Descriptors(append([]*os.File{null, null, null, control, spec}, o.Files...))
	header, sets := []uint32{unix.LINUX_CAPABILITY_VERSION_3, 0}, []uint32{building, building, building, 0, 0, 0}
	p.Call("capabilities", unix.SYS_CAPSET, header, sets)
	for c := range 32 {
		if building>>c&1 != 0 {
			p.Call("ambient capabilities", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0)
		}
	}
	p.Execute(o.Init, []string{"nacre-init", "build"}, nil)
	process, err := p.Start(cloneFlags(), v2)
	if err != nil {
		return nil, launchFault(err)
	}
	return process, nil
}

// launchFault explains why no process could be made in new namespaces
// (clone(2)).
func launchFault(err error) error {
	f := fault.Wrap(fault.Unsupported, err, "cannot start a sandbox")
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		f.What += ": user namespaces are switched off or used up"
		return f.WithHint("as an administrator: sysctl user.max_user_namespaces=10000")
	case errors.Is(err, unix.EPERM):
		f.What += ": user namespaces are closed to plain users"
		return f.WithHint("as an administrator: sysctl kernel.unprivileged_userns_clone=1, or give nacre an AppArmor profile that allows userns")
	case errors.Is(err, unix.EINVAL):
		f.What += ": this kernel has no user namespaces"
		return f.WithHint("use a kernel with CONFIG_USER_NS")
	}
	return f.WithHint("nacre doctor says what this machine lacks")
}

// OOMScore is a sandbox's: when the whole machine runs out of memory, it goes
// first.
const OOMScore = 500

// admit gives the new process its identity and then its blueprint, the end of which
// is its cue.
func (p *Process) admit(o Order, pipe *os.File) error {
	if err := o.Map.apply(p.PID, o.Regroup); err != nil {
		return mapFault(err)
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID), []byte(strconv.Itoa(OOMScore)), 0); err != nil {
		return fault.Wrap(fault.Unsupported, err, "cannot offer the sandbox to the OOM killer")
	}
	spec, err := o.Spec()
	if err == nil {
		_, err = pipe.Write(spec)
	}
	return errors.Join(err, pipe.Close())
}

// apply writes the id maps of a process (user_namespaces(7)).
func (m Mapping) apply(pid int, regroup bool) (err error) {
	switch {
	case m.Helper != nil:
		return m.Helper(pid, m.Inside, m.UID, m.GID)
	case !regroup:
		err = os.WriteFile(fmt.Sprintf("/proc/%d/setgroups", pid), []byte("deny"), 0)
	}
	return errors.Join(err, mapID(pid, "gid_map", m.Inside, m.GID), mapID(pid, "uid_map", m.Inside, m.UID))
}

func mapID(pid int, file string, inside, outside int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, file), fmt.Appendf(nil, "%d %d 1", inside, outside), 0)
}

func mapFault(err error) error {
	return fault.Wrap(fault.Unsupported, err, "cannot map the agent's identity")
}
