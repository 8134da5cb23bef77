package spawn

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// Child is a process that was started here. The standard library's handle would
// first fork once to see whether the kernel has pidfds.
type Child struct {
	PID    int
	mu     sync.Mutex
	handle int
	gone   bool
	Killed bool // what Wait found: it did not end by itself
}

// Kill ends it, if it is there.
func (c *Child) Kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil
	}
	return unix.PidfdSendSignal(c.handle, unix.SIGKILL, nil, 0)
}

// Wait returns once it has ended. It is to be called once.
func (c *Child) Wait() error {
	const exited = 1 // CLD_EXITED, of waitid(2)
	var how unix.Siginfo
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		err = unix.Waitid(unix.P_PIDFD, c.handle, &how, unix.WEXITED, nil)
	}
	c.Killed = how.Code != exited
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	unix.Close(c.handle)
	return err
}
