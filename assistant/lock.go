package assistant

import (
	"os"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// lock sees to it that one process has a journal.
func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fault.Wrap(fault.Conflict, err, "another process is at this conversation")
	}
	return nil
}
