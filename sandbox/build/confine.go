package build

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// loopback switches the sandbox's own lo on.
func (b *builder) loopback() error {
	if !b.spec.Loopback {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

func (b *builder) limits() error {
	for _, l := range b.spec.Limits {
		v := unix.Rlimit{Cur: l.Value, Max: l.Value}
		if err := unix.Prlimit(0, l.Resource, &v, nil); err != nil {
			return fmt.Errorf("rlimit %d to %d: %w", l.Resource, l.Value, err)
		}
	}
	return nil
}

func (b *builder) dropCapabilities() error {
	return inOrder(
		step{"securebits", raw(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, blueprint.Securebits, 0)},
		step{"ambient set", raw(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)},
		step{"bounding set", emptyBoundingSet},
		step{"capset", func() error {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			return unix.Capset(&header, &none[0])
		}},
		step{"no_new_privs", raw(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)},
	)
}

func emptyBoundingSet() error {
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) && c > unix.CAP_AUDIT_READ {
			return nil // past the last one that this kernel has
		}
		if err != nil {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
}

// enforceSeccomp comes last: the filter denies most of what was done before.
// What is loaded is told, beside what cannot be asked for under it.
// Its listener goes to the supervisor and, being close-on-exec, no further.
func (b *builder) enforceSeccomp() error {
	keyring, _ := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	const instruction = 8 // sizeof(struct sock_filter)
	code := b.spec.Seccomp
	if len(code) == 0 || len(code)%instruction != 0 {
		return fmt.Errorf("filter of %d bytes", len(code))
	}
	program := unsafe.Slice((*unix.SockFilter)(unsafe.Pointer(&code[0])), len(code)/instruction)
	// From Linux 5.19 only what kills its caller interrupts a call once received.
	listener, err := load(program, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) {
		listener, err = load(program, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	}
	if err == nil {
		return blueprint.Send(blueprint.ControlFD, blueprint.Message{Kind: blueprint.Listener, Filter: code, Keyring: keyring}, listener)
	}
	// An old kernel, or a filter around us has the one listener that there can be.
	silence(program)
	if _, err := load(program, 0); err != nil {
		return err
	}
	return blueprint.Send(blueprint.ControlFD, blueprint.Message{Kind: blueprint.Listener, Error: err.Error(), Filter: code, Keyring: keyring})
}

func load(program []unix.SockFilter, flags uintptr) (int, error) {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

// silence turns reported denials into plain ones of the same errno.
func silence(program []unix.SockFilter) {
	for i, op := range program {
		if op.Code == unix.BPF_RET && op.K&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_USER_NOTIF {
			program[i].K = unix.SECCOMP_RET_ERRNO | op.K&unix.SECCOMP_RET_DATA
		}
	}
}
