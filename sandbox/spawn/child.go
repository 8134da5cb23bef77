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
	Killed bool // what Wait found: it did not end by itself
	handle int
	mu     sync.Mutex
	gone   bool
	once   sync.Once
	err    error
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

// Wait returns once it has ended.
func (c *Child) Wait() error {
	c.once.Do(func() { c.err = c.wait() })
	return c.err
}

func (c *Child) wait() error {
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
