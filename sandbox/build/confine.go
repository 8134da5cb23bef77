package build

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
	"nacre/sandbox/layer"
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

// network opens sockets in the sandbox's namespace and passes them out. Its own
// end with the program.
func (b *builder) network() error {
	if len(b.spec.Sockets) == 0 {
		return nil
	}
	var fds []int
	for _, s := range b.spec.Sockets {
		fd, err := unix.Socket(s.Domain, s.Type|unix.SOCK_CLOEXEC, s.Protocol)
		if err != nil {
			return fmt.Errorf("%+v: %w", s, err)
		}
		fds = append(fds, fd)
	}
	return blueprint.Send(blueprint.ControlFD, blueprint.Message{Kind: blueprint.Opened}, fds...)
}

// bounds forbids further user namespaces, and leaves the owner most of the inotify
// instances and watches: they are counted for whoever made the user namespace too,
// so that a sandbox without a bound of its own could use up those of the owner's
// session, or of root's services. It needs the capabilities that are about to be
// dropped.
func (b *builder) bounds() error {
	if !b.spec.Nested {
		if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
			return err
		}
	}
	for _, kind := range []string{"instances", "watches"} {
		text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_" + kind)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without inotify
		}
		n, atoi := strconv.Atoi(strings.TrimSpace(string(text)))
		quarter := os.WriteFile("/proc/sys/user/max_inotify_"+kind, []byte(strconv.Itoa(n/4)), 0)
		if err := errors.Join(err, atoi, quarter); err != nil {
			return err
		}
	}
	return nil
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
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); {
		case errors.Is(err, unix.EINVAL) && c > unix.CAP_AUDIT_READ:
			return nil // past the last one that this kernel has
		case err != nil:
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
}

// enforceSeccomp comes last: the filter denies most of what was done before.
// What is loaded is told, beside what cannot be asked for under it.
// Its listener goes to the supervisor and, being close-on-exec, no further.
func (b *builder) enforceSeccomp() error {
	m := blueprint.Message{Kind: blueprint.Listener, Filter: b.spec.Seccomp}
	m.Keyring, _ = unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	// From Linux 5.19 only what kills its caller interrupts a call once received.
	listener, err := layer.Filter(m.Filter, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if err != nil {
		listener, err = layer.Filter(m.Filter, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	}
	if err == nil {
		return blueprint.Send(blueprint.ControlFD, m, listener)
	}
	// An old kernel, or a filter around us has the one listener that there can be.
	m.Filter, m.Error = b.spec.Silent, err.Error()
	if _, err := layer.Filter(m.Filter, 0); err != nil {
		return err
	}
	return blueprint.Send(blueprint.ControlFD, m)
}
