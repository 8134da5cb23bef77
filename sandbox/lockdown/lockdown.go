// Package lockdown confines the calling process for good: a program of Nacre's
// own that talks with strangers. It keeps the descriptors that it has, and can
// talk over the network; it can open no file, start no program and see no other
// process.
package lockdown

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/seccomp"
)

// Options are what differs from machine to machine.
type Options struct {
	UID        int  // to become, where the process is root; 0: stay
	NoLandlock bool // the owner accepted to go without it
	// Calls are the system calls that are left, each under the condition that the
	// base list of package seccomp has for it.
	Calls []string
}

// Enter confines every thread of the process.
func Enter(o Options) error {
	filter, err := seccomp.Only(seccomp.Arch(runtime.GOARCH), o.Calls)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"identity", func() error { return become(o.UID) }},
		{"core files", func() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }},
		{"dumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }},
		{"no_new_privs", func() error { return everywhere(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0) }},
		{"landlock", func() error { return landlock(o.NoLandlock) }},
		{"seccomp", func() error { return load(filter.Bytes()) }},
	} {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// everywhere makes a system call in every thread.
func everywhere(number, a, b, c uintptr) error {
	if _, _, e := syscall.AllThreadsSyscall(number, a, b, c); e != 0 {
		return e
	}
	return nil
}

// become gives root's rights away. A plain user has none.
func become(uid int) error {
	if unix.Geteuid() != 0 {
		return nil
	}
	if uid <= 0 {
		return fmt.Errorf("root, and no uid to become")
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(uid, uid, uid); err != nil {
		return err
	}
	return syscall.Setresuid(uid, uid, uid) // with it go all capabilities
}

// landlock gives no file, and no port to listen at, to any thread.
func landlock(accepted bool) error {
	abi, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		if accepted {
			return nil
		}
		return e
	}
	attr, size := unix.LandlockRulesetAttr{Handled_access_fs: 1<<13 - 1}, uintptr(8) // all of the first ABI
	for _, newer := range []struct {
		abi         uintptr
		fs, net, sc uint64
		size        uintptr
	}{
		{2, unix.LANDLOCK_ACCESS_FS_REFER, 0, 0, 8},
		{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0, 8},
		{4, 0, unix.LANDLOCK_ACCESS_NET_BIND_TCP, 0, 16},
		{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0, 16},
		{6, 0, 0, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL, 24},
	} {
		if abi >= newer.abi {
			attr.Handled_access_fs |= newer.fs
			attr.Handled_access_net |= newer.net
			attr.Scoped |= newer.sc
			size = newer.size
		}
	}
	fd, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return e
	}
	defer unix.Close(int(fd))
	return everywhere(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
}

// load puts the filter before every thread at once.
func load(code []byte) error {
	const instruction = 8 // sizeof(struct sock_filter)
	prog := unix.SockFprog{Len: uint16(len(code) / instruction), Filter: (*unix.SockFilter)(unsafe.Pointer(&code[0]))}
	stray, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case e != 0:
		return e
	case stray != 0:
		return fmt.Errorf("thread %d has a filter of its own", stray)
	}
	return nil
}
