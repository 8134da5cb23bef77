package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

const (
	fileName = "audit.jsonl"
	patience = 30 * time.Second       // how long another process may hold the lock
	pause    = 500 * time.Microsecond // between two tries
	anybody  = -1
)

// open opens the record beneath dir and locks it. It tries until ctx or its
// patience ends: flock itself cannot be interrupted.
func open(ctx context.Context, dir *os.Root, flags, how, owner int) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		f, err := dir.OpenFile(fileName, flags|unix.O_NONBLOCK, 0o600) // a fifo would wait
		if err != nil {
			return nil, failed(fmt.Errorf("%s: %w", dir.Name(), err))
		}
		if err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err == nil {
			err = check(dir, f, owner)
		}
		if err == nil {
			return f, nil
		}
		unlock(f)
		if err != unix.EAGAIN && err != unix.EINTR {
			return nil, failed(err)
		}
		if ctx.Err() != nil {
			return nil, fault.Wrap(fault.Conflict, ctx.Err(), "audit %s: gave up waiting for its lock", f.Name()).
				WithHint("see which process holds it open, and whether that is stopped")
		}
		time.Sleep(pause)
	}
}

// unlock says so before it closes: a child just being forked may still hold
// the descriptor, and with it the lock.
func unlock(f *os.File) {
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	f.Close()
}

// check makes sure that f is the record: a regular file and no link (os.Root
// follows links that stay inside), nobody else's, and not renamed meanwhile.
func check(dir *os.Root, f *os.File, owner int) error {
	named, err := dir.Lstat(fileName)
	opened, err2 := f.Stat()
	switch {
	case err != nil || err2 != nil:
		return errors.Join(err, err2)
	case !named.Mode().IsRegular():
		return fault.New(fault.Invalid, "audit %s is not a regular file", f.Name()).WithHint("move it away")
	case !os.SameFile(named, opened):
		return unix.EAGAIN
	}
	return trust(opened, f.Name(), owner, 0o077)
}

// trust refuses what another user owns, or what others may touch.
func trust(st fs.FileInfo, path string, owner int, forbidden fs.FileMode) error {
	uid, perm := int(st.Sys().(*syscall.Stat_t).Uid), st.Mode().Perm()
	if owner == anybody || uid == owner && perm&forbidden == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "audit %s has owner %d and mode %04o, where owner %d and %04o are trusted",
		path, uid, perm, owner, perm&^forbidden).
		WithHint("see who changed it and put that right, or choose a state folder of your own")
}

// failed gives an error of the system, which names its path, a kind and a hint.
func failed(err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	kind, hint := fault.Invalid, "a folder with a regular file "+fileName+" is expected, open to its owner, on a disk that works"
	switch number, _ := errors.AsType[unix.Errno](err); number {
	case unix.ENOSPC, unix.EDQUOT, unix.EFBIG, unix.ENFILE, unix.EMFILE, unix.ENOMEM:
		kind, hint = fault.Exhausted, "make room there: without a record nothing new may start"
	case unix.ENOENT:
		kind, hint = fault.NotFound, "nothing was recorded there"
	}
	return fault.Wrap(kind, err, "audit").WithHint("%s", hint)
}

// tampered is the fault of a record that is not as it was written.
func tampered(path, format string, args ...any) error {
	return fault.New(fault.Tampered, "audit "+path+": "+format, args...).
		WithHint("see `nacre audit verify`; to begin anew, move the folder aside and keep it")
}
