// Package spawn starts a process that shares this one's memory until it executes
// a program, whatever namespaces it is born into. The standard library copies
// the page tables instead where a user namespace is asked for, which takes as
// long as this process is big.
//
// What the new process does before it executes is a prepared list of system
// calls. No Go code runs in it: it has this process's memory, but none of its
// threads.
package spawn

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Program is the list of system calls. It stops at the first that fails.
type Program struct {
	calls []call
	names []string
	kept  runtime.Pinner // what the calls point to
}

// call is one of them, as the assembly reads it.
type call struct {
	number uintptr
	args   [6]uintptr
	from   [6]Result // where set, the argument is there instead
	result Result
}

// Result is where a call of a program will leave what it returns.
type Result *uintptr

// Call appends a system call. An argument is an int, a uintptr, a Result, a
// string, or a slice of bytes, uint32 or strings.
func (p *Program) Call(name string, number uintptr, args ...any) Result {
	c := call{number: number, result: new(uintptr)}
	p.kept.Pin(c.result)
	for i, a := range args {
		switch a := a.(type) {
		case int:
			c.args[i] = uintptr(a)
		case uintptr:
			c.args[i] = a
		case Result:
			c.from[i] = a
		case string:
			c.args[i] = pin(p, append([]byte(a), 0))
		case []byte:
			c.args[i] = pin(p, a)
		case []uint32:
			c.args[i] = pin(p, a)
		case []string:
			var list []uintptr
			for _, s := range a {
				list = append(list, pin(p, append([]byte(s), 0)))
			}
			c.args[i] = pin(p, append(list, 0))
		}
	}
	p.calls, p.names = append(p.calls, c), append(p.names, name)
	return c.result
}

func pin[T any](p *Program, s []T) uintptr {
	if len(s) == 0 {
		return 0
	}
	p.kept.Pin(&s[0])
	return uintptr(unsafe.Pointer(&s[0]))
}

// arguments are those of clone3(2).
type arguments struct {
	flags, pidfd uint64
	_            [2]uint64 // thread ids
	exitSignal   uint64
	_            [5]uint64 // stack, thread-local storage, chosen ids
	cgroup       uint64
}

// start clones; in the new process it makes the calls, and leaves how many were
// left, with the one that failed, in left.
func start(a *arguments, first *call, count uintptr, left *uintptr) (pid uintptr)

// Start starts the process, in new namespaces (clone(2)) and, if it is not
// negative, a v2 control group. It returns once the process has executed another
// program, which must be its last call.
func (p *Program) Start(namespaces uint64, group int) (*Child, error) {
	defer p.Release()
	return p.run(namespaces|unix.CLONE_VFORK, group)
}

// Hold starts a process that executes nothing: it is there until its calls are
// done, or it is killed. Release the program then.
func (p *Program) Hold(namespaces uint64) (*Child, error) { return p.run(namespaces, -1) }

// Release lets go of the program's memory, which no process may use any more.
func (p *Program) Release() { p.kept.Unpin() }

func (p *Program) run(flags uint64, group int) (*Child, error) {
	left, handle := new(uintptr), new(int32)
	p.kept.Pin(&p.calls[0])
	p.kept.Pin(left)
	p.kept.Pin(handle)
	a := arguments{flags: flags | unix.CLONE_VM | unix.CLONE_CLEAR_SIGHAND | unix.CLONE_PIDFD,
		pidfd: uint64(uintptr(unsafe.Pointer(handle))), exitSignal: uint64(unix.SIGCHLD)}
	if group >= 0 {
		a.flags, a.cgroup = a.flags|unix.CLONE_INTO_CGROUP, uint64(group)
	}
	syscall.ForkLock.Lock()
	pid := int(fork(&a, &p.calls[0], uintptr(len(p.calls)), left))
	syscall.ForkLock.Unlock()
	if pid < 0 {
		return nil, syscall.Errno(-pid)
	}
	child := &Child{PID: pid, handle: os.NewFile(uintptr(*handle), "pidfd")}
	if flags&unix.CLONE_VFORK != 0 && *left > 0 {
		i := len(p.calls) - int(*left)
		return nil, errors.Join(fmt.Errorf("%s: %w", p.names[i], syscall.Errno(-*p.calls[i].result)), child.Wait())
	}
	return child, nil
}

// fork clones with all signals blocked: the new process has no handlers, but a
// signal of the terminal's would end it half-way. Nothing in between is a place
// where Go would stop this thread: stopped like that it would not hear what
// syscall.AllThreadsSyscall tells each, which holds up all others until it has.
//
//go:nosplit
//go:norace
func fork(a *arguments, first *call, count uintptr, left *uintptr) (pid uintptr) {
	all, before := ^uint64(0), uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	pid = start(a, first, count, left)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&before)), 0, 8, 0, 0)
	return pid
}

// Descriptors gives the new process these files as its first descriptors.
func (p *Program) Descriptors(files []*os.File) {
	above := len(files)
	for _, f := range files {
		above = max(above, int(f.Fd())+1)
	}
	var moved []Result // first out of each other's way
	for _, f := range files {
		moved = append(moved, p.Call("descriptors", unix.SYS_FCNTL, f.Fd(), unix.F_DUPFD_CLOEXEC, above))
	}
	for i, m := range moved {
		p.Call("descriptors", unix.SYS_DUP3, m, i, 0)
	}
}

// Execute replaces the process with a program, on which signals are let go.
func (p *Program) Execute(path string, argv, env []string) {
	p.Call("signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, make([]byte, 8), 0, 8)
	p.Call("execute", unix.SYS_EXECVE, path, append([]string{}, argv...), append([]string{}, env...))
}

// Child is a process that was started here. The standard library's handle would
// first fork once to see whether the kernel has pidfds.
type Child struct {
	PID    int
	Killed bool // what Wait found: it did not end by itself
	handle *os.File
	once   sync.Once
	err    error
}

// Kill ends it, if it is there.
func (c *Child) Kill() (err error) {
	handle, _ := c.handle.SyscallConn()
	_ = handle.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) }) // or Wait has closed it
	return err
}

// Wait returns once it has ended.
func (c *Child) Wait() error {
	const exited = 1 // CLD_EXITED, of waitid(2)
	c.once.Do(func() {
		var how unix.Siginfo
		for c.err = unix.EINTR; c.err == unix.EINTR; {
			c.err = unix.Waitid(unix.P_PIDFD, int(c.handle.Fd()), &how, unix.WEXITED, nil)
		}
		c.Killed = how.Code != exited
		c.handle.Close()
	})
	return c.err
}

// End kills it and returns once it has ended: what cannot be killed is waited for.
func (c *Child) End() error {
	_ = c.Kill()
	return c.Wait()
}
