// Package notify answers the system calls that a sandbox's filter refuses and
// puts to the supervisor. Its only answer is an error: never "continue", since
// the arguments that pointers lead to can be changed after they were looked at
// (seccomp_unotify(2)), and never a value, which would be a lie of success.
package notify

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is a refused system call.
type Call struct {
	Number  uint32
	Args    [6]uint64
	Program string // the caller's, as Denials found it; empty if it was not looked up
}

// Denials says what refused calls are answered, and is told of them.
type Denials interface {
	Errno(Call) unix.Errno
	Program(c Call, pid uint32) string // the caller's; empty where it is not worth the time
	Denied(Call)                       // once the caller has its answer
}

// notice is the kernel's struct seccomp_notif.
type notice struct {
	id         uint64
	pid, flags uint32
	number     uint32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// answer is the kernel's struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// Serve answers, on a thread of its own, so that nobody inside waits for
// anything else that the supervisor does. Once nothing is left that runs under
// the filter it closes the listener and then the channel.
func Serve(listener int, d Denials) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer unix.Close(listener)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread() // a thread that ends takes along whom it started (PR_SET_PDEATHSIG)
		serve(listener, d)
	}()
	return done
}

func serve(listener int, d Denials) {
	// From Linux 6.6 the processor is handed over and back, which is quicker.
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	for wait(listener) {
		var n notice // the kernel wants it empty
		if !control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) {
			continue // the caller died meanwhile
		}
		c := Call{Number: n.number, Args: n.args}
		// Only while its caller waits is that process number the caller's.
		if c.Program = d.Program(c, n.pid); c.Program != "" && !control(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.id)) {
			c.Program = ""
		}
		a := answer{id: n.id, errno: -int32(unix.EPERM)}
		if e := d.Errno(c); e > 0 && e < 4096 {
			a.errno = -int32(e)
		}
		control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)) // fails only if the caller is gone
		d.Denied(c)
	}
}

// wait waits for a call; false once there will be none any more.
func wait(listener int) bool {
	p := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(p, -1); err != unix.EINTR {
			return err == nil && p[0].Revents&unix.POLLIN != 0
		}
	}
}

// control never waits: there is something to be received, or an error.
func control(listener int, request uintptr, of unsafe.Pointer) bool {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), request, uintptr(of))
	return e == 0
}
