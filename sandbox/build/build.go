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
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// failure is an error with the layer that it happened in.
type failure struct {
	layer string
	err   error
}

// Main builds what the supervisor sent and does not return: it becomes the
// reaper, or reports what failed and ends with status 1. The calling goroutine
// must be locked to the process's first thread: that is the one whose time
// namespace /proc/self shows.
func Main(stage2 []string) {
	f := run(stage2)
	message := blueprint.Message{Kind: blueprint.Failed, Layer: f.layer, Error: f.err.Error()}
	_ = blueprint.Send(blueprint.ControlFD, message)
	unix.Exit(1)
}

func run(stage2 []string) *failure {
	if unix.Gettid() != unix.Getpid() {
		return &failure{"thread", errors.New("not the process's first")}
	}
	// Nothing but the two protocol descriptors survives the exec below.
	if err := unix.CloseRange(blueprint.ControlFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return &failure{"descriptors", err}
	}
	spec, err := readSpec()
	if err != nil {
		return &failure{"blueprint", err}
	}
	if err := awaitBuild(); err != nil {
		return &failure{"supervisor", err}
	}
	b := builder{spec: spec}
	for _, step := range []struct {
		layer string
		do    func() error
	}{
		{"identity", b.identity},
		{"namespaces", b.namespaces},
		{"trees", b.collectTrees},
		{"proc", b.freshProc},
		{"root", b.root},
		{"devices", b.devices},
		{"private places", b.private},
		{"folders and files", b.furnish},
		{"proc", b.proc},
		{"host folders", b.placeTrees},
		{"seal root", b.sealRoot},
		{"loopback", b.loopback},
		{"limits", b.limits},
		{"landlock", b.prepareLandlock},
		{"capabilities", b.dropCapabilities},
		{"landlock", b.enforceLandlock},
		{"seccomp", b.enforceSeccomp},
	} {
		if err := step.do(); err != nil {
			return &failure{step.layer, err}
		}
	}
	return &failure{"exec", b.become(stage2)}
}

type builder struct {
	spec    blueprint.Spec
	self    int   // a read-only mount of this program
	trees   []int // detached mounts, one for each of spec.Trees
	blank   int   // file system with an unreadable file and folder
	dev     int   // the new /dev
	procfs  int   // the new /proc, detached
	ruleset int
}

func readSpec() (blueprint.Spec, error) {
	var st unix.Stat_t
	if err := unix.Fstat(blueprint.SpecFD, &st); err != nil {
		return blueprint.Spec{}, err
	}
	if st.Size > blueprint.MaxSpec {
		return blueprint.Spec{}, fmt.Errorf("of %d bytes is over %d", st.Size, blueprint.MaxSpec)
	}
	b := make([]byte, st.Size)
	if n, err := unix.Pread(blueprint.SpecFD, b, 0); err != nil || n != len(b) {
		return blueprint.Spec{}, fmt.Errorf("read %d of %d bytes: %v", n, len(b), err)
	}
	return blueprint.Decode(b)
}

// awaitBuild waits until the supervisor has mapped our identity and put us
// into our control group. It also notices a supervisor that died before
// PR_SET_PDEATHSIG could tell.
func awaitBuild() error {
	m, _, err := blueprint.Receive(blueprint.ControlFD)
	if err == nil && m.Kind != blueprint.Build {
		err = fmt.Errorf("expected %q, got %q", blueprint.Build, m.Kind)
	}
	return err
}

// identity becomes the agent's user. The capabilities in our own user
// namespace stay: none of the ids involved is its root.
func (b *builder) identity() error {
	unix.Umask(0o022) // the owner's is theirs
	uid := uintptr(b.spec.UID)
	if b.spec.Regroup {
		if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
			return fmt.Errorf("setgroups: %w", e)
		}
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, uid, uid, uid); e != 0 {
		return fmt.Errorf("setresgid: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); e != 0 {
		return fmt.Errorf("setresuid: %w", e)
	}
	// A change of credentials clears both (prctl(2)); our own /proc files have
	// to be ours until the layers are on.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("pdeathsig: %w", err)
	}
	return nil
}

// namespaces enters those that depend on what the supervisor did meanwhile:
// the cgroup namespace has its root where we are now. It also leaves the
// owner's session keyring behind, which is nobody's namespace (keyrings(7)).
func (b *builder) namespaces() error {
	if err := rawUnshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("cgroup namespace: %w", err)
	}
	_, _, e := unix.RawSyscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if e != 0 && e != unix.ENOSYS { // a kernel without keyrings has none to leave
		return fmt.Errorf("session keyring: %w", e)
	}
	if err := newTime(); err != nil {
		return fmt.Errorf("time namespace: %w", err)
	}
	if err := unix.Sethostname([]byte(b.spec.Hostname)); err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	if err := unix.Setdomainname([]byte("(none)")); err != nil {
		return fmt.Errorf("domain name: %w", err)
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

func rawUnshare(flags uintptr) error {
	if _, _, e := unix.RawSyscall(unix.SYS_UNSHARE, flags, 0, 0); e != 0 {
		return e
	}
	return nil
}

// become executes the reaper from the read-only mount of this very program:
// the mount is attached nowhere, so nothing inside can name or change it.
func (b *builder) become(stage2 []string) error {
	if _, err := unix.FcntlInt(blueprint.ControlFD, unix.F_SETFD, 0); err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(stage2)
	if err != nil {
		return err
	}
	envp := []*byte{nil}
	empty := []byte{0}
	_, _, e := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(b.self),
		uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(&argv[0])),
		uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return e
}
