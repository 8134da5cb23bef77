// Package build is the first half of a sandbox's first process: inside fresh
// namespaces it builds the file system, switches on every layer of
// confinement and replaces itself with the second half (package reap), which
// therefore starts confined, in all of its threads.
//
// Order: identity, namespaces, mounts, pivot, loopback, limits, capabilities,
// no_new_privs, Landlock, seccomp, exec. Everything here runs on one locked
// thread: credentials, Landlock and seccomp belong to the thread, and execve
// ends all others.
package build

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// Main builds what the supervisor sent and does not return: it becomes the
// reaper, or reports what failed and ends with status 1. The calling goroutine
// must be locked to the process's first thread: that is the one whose time
// namespace /proc/self shows.
func Main(stage2 []string) {
	b := builder{stage2: stage2}
	for _, layer := range []step{
		{"descriptors", b.descriptors},
		{"blueprint", b.read},
		{"identity", b.identity},
		{"namespaces", b.namespaces},
		{"mounts", b.collect},
		{"root", b.root},
		{"folders and files", b.furnish},
		{"bounds", b.bounds},
		{"seal", b.seal},
		{"loopback", b.loopback},
		{"network", b.network},
		{"limits", b.limits},
		{"landlock", b.prepareLandlock},
		{"capabilities", b.dropCapabilities},
		{"landlock", b.enforceLandlock},
		{"seccomp", b.enforceSeccomp},
		{"exec", b.become},
	} {
		if err := b.take(layer); err != nil {
			failed := blueprint.Message{Kind: blueprint.Failed, Layer: layer.name, Error: err.Error()}
			_ = blueprint.Send(blueprint.ControlFD, failed)
			unix.Exit(1)
		}
	}
}

// step is a part of building, with its name for errors.
type step struct {
	name string
	do   func() error
}

// inOrder takes steps until one fails.
func inOrder(steps ...step) error {
	for _, s := range steps {
		if err := s.take(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// raw is a system call for this thread alone. None takes a pointer: what that
// leads to would have to be kept alive.
func raw(number, a, b, c uintptr) func() error {
	return func() error {
		if _, _, e := unix.RawSyscall(number, a, b, c); e != 0 {
			return e
		}
		return nil
	}
}

type builder struct {
	stage2  []string
	spec    blueprint.Spec
	self    int   // a read-only mount of this program
	mounts  []int // detached mounts, one for each of spec.Entries that is a tree or a system
	base    int   // the new root, where no image is
	private int   // the file system of all private folders, and of what masks
	ruleset int
}

// descriptors sees to it that nothing but the control socket survives become.
func (b *builder) descriptors() error {
	if unix.Gettid() != unix.Getpid() {
		return errors.New("not on the process's first thread")
	}
	return unix.CloseRange(blueprint.ControlFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
}

// read reads the spec. It comes, to its end, once the supervisor has mapped our
// identity and put us into our control group: of one that died before there is half a
// spec at most, and one that dies before PR_SET_PDEATHSIG could tell takes no message.
func (b *builder) read() (err error) {
	var text []byte
	for n, part := 1, make([]byte, 64<<10); n > 0 && len(text) <= blueprint.MaxSpec; text = append(text, part[:n]...) {
		if n, err = unix.Read(blueprint.SpecFD, part); err != nil {
			return err
		}
	}
	b.spec, err = blueprint.Decode(text)
	return err
}

// identity becomes the agent's user. The capabilities in our own user
// namespace stay: none of the ids involved is its root.
func (b *builder) identity() error {
	unix.Umask(0o022) // the owner's is theirs
	uid := uintptr(b.spec.UID)
	steps := []step{
		{"setresgid", raw(unix.SYS_SETRESGID, uid, uid, uid)},
		{"setresuid", raw(unix.SYS_SETRESUID, uid, uid, uid)},
		// An owner who runs without address randomisation does not mean the agent to.
		{"personality", raw(unix.SYS_PERSONALITY, 0, 0, 0)},
		{"scheduling", ordinary},
		// A change of credentials clears both (prctl(2)); our own /proc files have
		// to be ours until the layers are on.
		{"dumpable", raw(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0)},
		{"pdeathsig", raw(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)},
	}
	if b.spec.Regroup {
		steps = slices.Insert(steps, 0, step{"setgroups", raw(unix.SYS_SETGROUPS, 0, 0, 0)})
	}
	return inOrder(steps...)
}

// ordinary leaves an owner's real-time scheduling behind: what is scheduled so goes
// before everything, its supervisor included, and no control group bounds it.
func ordinary() error {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil || a.Policy == unix.SCHED_NORMAL || a.Policy == unix.SCHED_BATCH || a.Policy == unix.SCHED_IDLE {
		return err
	}
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // from 40 to 1 for -20 to 19 (getpriority(2))
	return errors.Join(err, unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: int32(20 - nice)}, 0))
}

// namespaces enters those that depend on what the supervisor did meanwhile:
// the cgroup namespace has its root where we are now. It also leaves the
// owner's session keyring behind, which is nobody's namespace (keyrings(7)).
func (b *builder) namespaces() error {
	return inOrder(
		step{"cgroup namespace", raw(unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP, 0, 0)},
		step{"session keyring", newKeyring},
		step{"time namespace", func() error {
			if b.spec.Time == "" {
				return nil
			}
			return errors.Join(unix.Unshare(unix.CLONE_NEWTIME), os.WriteFile("/proc/self/timens_offsets", []byte(b.spec.Time), 0))
		}},
		step{"hostname", func() error { return unix.Sethostname([]byte(b.spec.Hostname)) }},
		step{"domain name", func() error { return unix.Setdomainname([]byte("(none)")) }},
		step{"private mounts", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
	)
}

func newKeyring() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if errors.Is(err, unix.ENOSYS) {
		return nil // a kernel without keyrings has none to leave
	}
	return err
}

// become executes the reaper from the read-only mount of this very program:
// the mount is attached nowhere, so nothing inside can name or change it. The way to
// our descriptor of it leads through the sandbox's own /proc.
func (b *builder) become() error {
	if _, err := unix.FcntlInt(blueprint.ControlFD, unix.F_SETFD, 0); err != nil {
		return err
	}
	few := []string{"GOMAXPROCS=1"} // threads and lists, however large the machine
	return unix.Exec("/proc/self/fd/"+strconv.Itoa(b.self), b.stage2, few)
}
