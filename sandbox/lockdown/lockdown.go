// Package lockdown confines a program of Nacre's own that talks with strangers,
// for good: it keeps the descriptors that it has, and can talk over the network;
// it can open no file, start no program and see no other process.
package lockdown

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"nacre/sandbox/layer"
	"nacre/seccomp"
)

// Enter completes in the program what Start began, and looks whether that holds.
// Calls are the system calls that are left, each under the condition that the
// base list of package seccomp has for it.
func Enter(calls []string, noLandlock bool) error {
	table, err := seccomp.NewTable(seccomp.Options{Arch: seccomp.Arch(runtime.GOARCH), Loopback: true,
		Only: append([]string{}, calls...)}) // never nil, which would be all
	if err != nil {
		return err
	}
	if err := begun(noLandlock); err != nil {
		return err
	}
	return errors.Join(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}), unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0), load(table.Filter().Silent().Bytes()))
}

// begun tries what Start has taken away.
func begun(noLandlock bool) error {
	privs, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil || privs != 1 || unix.Geteuid() == 0 || unix.Getpid() != 1 || !errors.Is(unix.Access("/proc", unix.F_OK), unix.ENOENT) {
		return errors.New("it was not started by lockdown.Start")
	}
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	unix.Close(fd)
	if err == nil && !noLandlock {
		return errors.New("files can be opened")
	}
	return nil
}

// load puts the filter before every thread at once.
func load(code []byte) error {
	stray, err := layer.Filter(code, unix.SECCOMP_FILTER_FLAG_TSYNC)
	switch {
	case err != nil:
		return fmt.Errorf("seccomp: %w", err)
	case stray != 0:
		return fmt.Errorf("thread %d has a filter of its own", stray)
	}
	return nil
}
