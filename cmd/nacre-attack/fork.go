package main

// Raw forks: a child of a threaded program may only make system calls, so each
// does exactly one list of them and exits. This file uses unsafe and raw calls.

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// step is one system call of a forked child.
type step struct {
	name   string
	number uintptr
	a      [5]uintptr
}

// maxSteps bounds what the shared page reports.
const maxSteps = 8

// report is the page that a forked child shares with its parent.
type report struct {
	done  uint32 // how many steps succeeded
	errno uint32 // of the step that failed
	steps [maxSteps]step
	count uint32
}

// fork makes a child that sleeps until it is killed and dies with its parent.
//
//go:nosplit
//go:norace
func forkSleeper(flags uintptr) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	for {
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// forkExit makes a child that ends at once; with grandchild it leaves an
// orphan that ends too, for init to reap.
//
//go:nosplit
//go:norace
func forkExit(grandchild bool) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	if grandchild {
		unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	return 0, 0
}

// forkSteps makes the clone with flags and runs the steps in the child.
//
//go:nosplit
//go:norace
func forkSteps(flags uintptr, r *report) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	for i := uint32(0); i < r.count; i++ {
		s := &r.steps[i]
		_, _, errno := unix.RawSyscall6(s.number, s.a[0], s.a[1], s.a[2], s.a[3], s.a[4], 0)
		if errno != 0 {
			r.errno = uint32(errno)
			break
		}
		r.done++
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	return 0, 0
}

// inFork runs steps in a forked child with its own single thread, and answers
// how many succeeded and why the next did not (ESRCH: it was killed).
func inFork(flags uintptr, steps ...step) (int, error) {
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(page)
	r := (*report)(unsafe.Pointer(&page[0]))
	r.count = uint32(copy(r.steps[:], steps))
	pid, errno := forkSteps(flags, r)
	if errno != 0 {
		return 0, errno
	}
	reap(int(pid), 3*time.Second)
	switch {
	case r.errno != 0:
		return int(r.done), unix.Errno(r.errno)
	case r.done < r.count:
		return int(r.done), unix.ESRCH
	}
	return int(r.done), nil
}

// reap waits for a child, and kills it when it takes too long.
func reap(pid int, within time.Duration) unix.WaitStatus {
	var status unix.WaitStatus
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); got == pid || err == unix.ECHILD {
			return status
		}
	}
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, &status, 0, nil)
	return status
}

// forked tries steps in a child of its own and records the door.
func (d *doors) forked(what string, flags uintptr, steps ...step) {
	done, err := inFork(flags, steps...)
	if err != nil && done < len(steps) && len(steps) > 1 {
		what += " at " + steps[done].name
	}
	if err == unix.ESRCH {
		d.shut = append(d.shut, what+": killed")
		return
	}
	d.tried(what, err)
}

// sigaction as the kernel has it, big enough for every architecture.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// defaultSignals makes the signals by which a filter punishes a call fatal
// again: Go's handler would turn them into a crash report.
func defaultSignals() {
	var none sigaction
	for _, s := range []unix.Signal{unix.SIGSYS, unix.SIGSEGV, unix.SIGBUS, unix.SIGILL} {
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	}
}

// pointer turns a NUL-terminated constant into a system call's argument.
func pointer(s string) uintptr {
	b, err := unix.BytePtrFromString(s)
	if err != nil {
		return 0
	}
	return uintptr(unsafe.Pointer(b))
}
