package runs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Kill ends a supervisor that does not answer, and with it its sandbox, and waits until
// it is gone. It kills none but the process that holds the run's lock: its number may
// be another's by now.
func (s *Store) Kill(r Record, within time.Duration) error {
	if err := s.kill(r, within); err != nil {
		return fault.Wrap(fault.Conflict, err, "the supervisor of %s (process %d) cannot be killed", r.ID, r.Supervisor).
			WithHint("look what that process is: ps -o pid,lstart,stat,cmd %d; if it is nacre, kill -9 ends it and the sandbox", r.Supervisor)
	}
	return nil
}

func (s *Store) kill(r Record, within time.Duration) error {
	pidfd, err := unix.PidfdOpen(r.Supervisor, 0) // before it is looked at: from now on the number is its own
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	held, err := holds(r.Supervisor, filepath.Join(s.dir, r.ID, "lock"))
	if err != nil {
		return err
	}
	if !held {
		return errors.New("another process has that number, or has the run")
	}
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	n, err := unbroken(func() (int, error) {
		return unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(within.Milliseconds()))
	})
	if err == nil && n == 0 {
		err = fmt.Errorf("it was killed, and is there after %v", within)
	}
	return err
}

// holds tells whether a process holds the lock on a file, by what the kernel says:
// "1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF".
func holds(pid int, path string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, err
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(locks) {
		f := bytes.Fields(line)
		if len(f) == 8 && string(f[1]) == "FLOCK" && string(f[3]) == "WRITE" && string(f[4]) == strconv.Itoa(pid) &&
			bytes.HasSuffix(f[5], []byte(":"+strconv.FormatUint(st.Ino, 10))) {
			return true, nil
		}
	}
	return false, nil
}
