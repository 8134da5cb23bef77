package terminal

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// maxQueue bounds the keys that wait for the program to read them. Beyond it
// the owner's terminal has to wait, for at most stall: after that keys are read
// only for the kill key, and dropped.
const (
	maxQueue = 1 << 20
	stall    = time.Second
)

// input copies keys to the program until the session is over or the terminal
// goes away.
func (s *session) input() error {
	var queue []byte
	var kill killKey
	stalled := false
	buf := make([]byte, 4096)
	for {
		fds := []unix.PollFd{poll(s.wake, unix.POLLIN), poll(s.tty, unix.POLLIN), poll(-1, unix.POLLOUT)}
		timeout := -1
		if len(queue) > 0 { // else -1, which is not polled: a master hung up would not let us sleep
			fds[2].Fd = int32(s.master)
		}
		if len(queue) >= maxQueue && !stalled {
			fds[1].Fd, timeout = -1, int(stall.Milliseconds())
		}
		n, err := s.wait(fds, timeout)
		if err != nil {
			return err
		}
		stalled = stalled || n == 0
		if fds[2].Revents != 0 {
			if n := s.deliver(queue); n > 0 {
				queue, stalled = queue[n:], false
			}
		}
		if fds[1].Revents == 0 {
			continue
		}
		n, err = unix.Read(s.tty, buf)
		if n == 0 && err == nil || err != nil && !again(err) {
			return Interrupted{unix.SIGHUP}
		}
		pass, asked := kill.scan(buf[:max(n, 0)], time.Now())
		if asked {
			s.kill()
		}
		if len(queue) < maxQueue {
			queue = append(queue, pass...)
		}
	}
}

// deliver returns how many of the keys are done with: all of them when the
// program has gone, which output notices, too.
func (s *session) deliver(keys []byte) int {
	n, err := unix.Write(s.master, keys)
	if err != nil && !again(err) {
		return len(keys)
	}
	return n
}

// wait polls. A signal counts as nothing ready; that the session is over is
// io.EOF, after which the descriptors are not to be touched.
func (s *session) wait(fds []unix.PollFd, timeout int) (int, error) {
	n, err := unix.Poll(fds, timeout)
	switch {
	case s.over.Load():
		return 0, io.EOF
	case err != nil && err != unix.EINTR:
		return 0, fault.Wrap(fault.Internal, err, "the terminal cannot be watched")
	}
	return n, nil
}

// output copies what the program writes until the program has ended. It reads
// only when the last piece is written: a flood waits in the program. At the end it
// undoes what the program did to the owner's terminal.
func (s *session) output() error {
	defer s.filter.Reset()
	buf := make([]byte, 32<<10)
	for !s.over.Load() { // a write may have taken long
		fds := []unix.PollFd{poll(s.wake, unix.POLLIN), poll(s.master, unix.POLLIN)}
		if _, err := s.wait(fds, -1); err != nil {
			return err
		}
		if fds[1].Revents == 0 {
			continue
		}
		n, err := unix.Read(s.master, buf)
		switch {
		case n == 0 && err == nil, err == unix.EIO: // nobody holds the other side
			return nil
		case err != nil && !again(err):
			return fault.Wrap(fault.Internal, err, "the program's terminal cannot be read")
		case err != nil:
			continue
		}
		if _, err := s.out.Write(buf[:n]); err != nil {
			return writeError(err)
		}
	}
	return io.EOF
}

func writeError(err error) error {
	switch {
	case errors.Is(err, unix.EIO): // what a terminal that has gone says
		return Interrupted{unix.SIGHUP}
	case errors.Is(err, unix.EPIPE):
		return Interrupted{unix.SIGPIPE}
	default:
		return fault.Wrap(fault.Internal, err, "the program's output cannot be written")
	}
}

// kill asks the caller to kill the program, one call at a time.
func (s *session) kill() {
	if s.Kill == nil || s.killing.Swap(true) {
		return
	}
	go s.guarded(func() {
		defer s.killing.Store(false)
		s.Kill()
	})
}

func poll(fd int, events int16) unix.PollFd { return unix.PollFd{Fd: int32(fd), Events: events} }

func again(err error) bool { return err == unix.EAGAIN || err == unix.EINTR }

// killKey watches for Ctrl-] three times in a row, within a second.
type killKey struct{ last, before time.Time }

// scan returns the keys to pass on, all but a third press, and whether there
// was one.
func (k *killKey) scan(keys []byte, now time.Time) (pass []byte, kill bool) {
	for _, key := range keys {
		switch {
		case key != 0x1d:
			*k = killKey{}
		case !k.before.IsZero() && now.Sub(k.before) <= time.Second:
			*k, kill = killKey{}, true
			continue
		default:
			k.before, k.last = k.last, now
		}
		pass = append(pass, key)
	}
	return pass, kill
}
