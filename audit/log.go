package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

// What a reader must know of the file.
const (
	FileName = "audit.jsonl"     // records are appended to it
	Anybody  = -1                // may own what is only read
	MaxLine  = MaxRecord + 4<<10 // the most bytes of a torn line, with marks of sealers that crashed too

	mark     = "#torn\n"              // closes a line that a crash left unfinished
	window   = 256 << 10              // how far back a writer looks for the last record
	patience = 30 * time.Second       // how long another process may hold the lock
	pause    = 500 * time.Microsecond // between two tries
)

// Log is an open audit, for any number of goroutines. Its zero value refuses
// every record.
type Log struct {
	dir   *os.Root
	owner int
	now   func() time.Time
	mu    sync.Mutex
	last  Head // the newest record that this Log has written
}

// Open opens the audit in dir, creating what is missing. The folder and the
// file must belong to the user owner, and nobody else may write there.
func Open(dir string, owner int) (*Log, error) {
	l := &Log{owner: owner, now: time.Now, last: Head{Hash: NoHash}}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		l.dir, err = os.OpenRoot(dir)
	}
	if err == nil {
		err = l.prepare(dir)
	}
	if err != nil {
		l.Close()
		return nil, Failed(err)
	}
	return l, nil
}

// prepare makes the file, and sees that it and its folder will last.
func (l *Log) prepare(dir string) error {
	f, err := Lock(context.Background(), l.dir, os.O_RDWR|os.O_CREATE, unix.LOCK_EX, l.owner)
	if err != nil {
		return err
	}
	defer Unlock(f)
	if st, err := f.Stat(); err != nil || st.Size() > 0 {
		return err
	}
	return errors.Join(SyncFolder(dir), SyncFolder(filepath.Dir(dir)))
}

// Close closes the log. Nothing can be recorded any more.
func (l *Log) Close() error {
	if l == nil || l.dir == nil {
		return nil
	}
	return l.dir.Close()
}

// Record appends e and returns once it is on stable storage. After an error
// what e announces must not happen: the record is undone, or, where even that
// fails, stands as torn or unconfirmed. ctx bounds only the wait for other
// writers; to record an end during a shutdown, pass one that is not cancelled.
func (l *Log) Record(ctx context.Context, e nacre.Event) error {
	switch {
	case l == nil || l.dir == nil:
		return fault.New(fault.Internal, "audit is not open")
	case e.Kind == "" || strings.HasPrefix(e.Kind, reserved):
		return fault.New(fault.Internal, "audit: an event may not be of kind %q", e.Kind)
	}
	f, err := Lock(ctx, l.dir, os.O_RDWR|os.O_APPEND, unix.LOCK_EX, l.owner)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return Tampered(l.dir.Name(), "the record vanished while it was in use")
	case err != nil:
		return err
	}
	defer Unlock(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	h, torn, size, err := tail(f)
	if err != nil {
		return Failed(err)
	}
	if h.Seq < l.last.Seq || h.Seq == l.last.Seq && h != l.last {
		return Tampered(f.Name(), "record %d is gone or changed since this process wrote it", l.last.Seq)
	}
	h, lines, err := h.compose(torn, e, l.now())
	if err == nil {
		err = write(f, size, lines)
	}
	if err == nil {
		l.last = h
	}
	return Failed(err)
}

// compose makes the bytes that record e after h, and before it what is torn.
func (h Head) compose(torn []byte, e nacre.Event, now time.Time) (_ Head, lines []byte, err error) {
	if len(torn) > 0 {
		torn = append(torn, mark...)
		h, lines, err = h.Next(nacre.Event{
			Kind: KindCrash, Caller: nacre.Caller{UID: os.Getuid(), PID: os.Getpid(), Name: "audit"},
			Reason: "a writer was interrupted: its record is torn and was never confirmed",
			Detail: map[string]string{"bytes": strconv.Itoa(len(torn)), "sha256": digest(torn)},
		}, now)
		lines = append([]byte(mark), lines...)
	}
	h, line, err2 := h.Next(e, now)
	return h, append(lines, line...), errors.Join(err, err2)
}

// write appends b in one piece and syncs it, or undoes what it did.
func write(f *os.File, size int64, b []byte) error {
	_, err := f.Write(b)
	if err == nil {
		err = os.NewSyscallError("fdatasync "+f.Name(), unix.Fdatasync(int(f.Fd())))
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(size)) // what stays, the next writer seals
	}
	return err
}

// IsTorn reports whether a line is one that was never finished, sealed or not.
// Zeros are what file systems leave of a block that did not reach the disk.
func IsTorn(line []byte) bool {
	return bytes.HasSuffix(line, []byte(mark)) || bytes.IndexByte(line, 0) >= 0 || !bytes.HasSuffix(line, []byte("\n"))
}

// tail finds the newest record (of sequence 0 where there is none), the torn
// bytes after it, and the file's size.
func tail(f *os.File) (h Head, torn []byte, size int64, err error) {
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return h, nil, 0, err
	}
	for _, room := range [...]int64{8 << 10, window} { // hardly ever is the last record further back
		torn = make([]byte, min(room, size))
		if _, err := f.ReadAt(torn, size-int64(len(torn))); err != nil {
			return h, nil, 0, err
		}
		if size > room {
			_, torn, _ = bytes.Cut(torn, []byte("\n")) // what comes first may be half a line
		}
		for end := len(torn); end > 0; {
			start := bytes.LastIndexByte(torn[:end-1], '\n') + 1
			if line := torn[start:end]; !IsTorn(line) || len(line) > MaxLine {
				body, ok := Split(line)
				if !ok || json.Unmarshal(line, &h) != nil { // is it as this program writes it? readers look
					err = Tampered(f.Name(), "its last record is not as it was written")
				}
				return Head{h.Seq, digest(body)}, torn[end:], size, err
			}
			end = start
		}
	}
	if size > window {
		err = Tampered(f.Name(), "no record within its last %d bytes", window)
	}
	return Head{Hash: NoHash}, torn, size, err
}

// Lock opens the record beneath dir and locks it. It tries until ctx or its
// patience ends: flock itself cannot be interrupted.
func Lock(ctx context.Context, dir *os.Root, flags, how, owner int) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ; ; time.Sleep(pause) {
		f, err := dir.OpenFile(FileName, flags|unix.O_NONBLOCK, 0o600) // a fifo would wait
		if err != nil {
			return nil, Failed(fmt.Errorf("%s: %w", dir.Name(), err))
		}
		if err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err == nil {
			if err = check(dir, f, owner); err == nil {
				return f, nil
			}
		}
		Unlock(f)
		if err != unix.EAGAIN && err != unix.EINTR {
			return nil, Failed(err)
		}
		if ctx.Err() != nil {
			return nil, fault.Wrap(fault.Conflict, ctx.Err(), "audit %s: gave up waiting for its lock", f.Name()).WithHint("see which process holds it open")
		}
	}
}

// Unlock says so before it closes: a child just being forked may still hold
// the descriptor, and with it the lock.
func Unlock(f *os.File) {
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	f.Close()
}

// check makes sure that f is the record: a regular file and no link (os.Root
// follows links that stay inside), nobody else's, not renamed meanwhile, and in
// a folder where nobody else may write.
func check(dir *os.Root, f *os.File, owner int) error {
	named, err := dir.Lstat(FileName)
	opened, err2 := f.Stat()
	folder, err3 := dir.Stat(".")
	switch {
	case err != nil || err2 != nil || err3 != nil:
		return errors.Join(err, err2, err3)
	case !named.Mode().IsRegular():
		return fault.New(fault.Invalid, "audit %s is not a regular file", f.Name()).WithHint("move it away")
	case !os.SameFile(named, opened):
		return unix.EAGAIN
	}
	return errors.Join(Trust(folder, dir.Name(), owner, 0o022), Trust(opened, f.Name(), owner, 0o077))
}

// Trust refuses what another user owns, or what others may touch.
func Trust(st fs.FileInfo, path string, owner int, forbidden fs.FileMode) error {
	uid, perm := int(st.Sys().(*syscall.Stat_t).Uid), st.Mode().Perm()
	if owner == Anybody || uid == owner && perm&forbidden == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "audit %s has owner %d and mode %04o, trusted are %d and %04o", path, uid, perm, owner, perm&^forbidden).
		WithHint("see who changed it and put that right, or choose a state folder of your own")
}

// SyncFolder makes the names in a folder last.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Failed gives an error of the system, which names its path, a kind and a hint.
func Failed(err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok || err == nil {
		return err
	}
	kind, hint := fault.Invalid, "a folder with a regular file "+FileName+" is expected, open to its owner, on a disk that works"
	switch number, _ := errors.AsType[unix.Errno](err); number {
	case unix.ENOSPC, unix.EDQUOT, unix.EFBIG, unix.ENFILE, unix.EMFILE, unix.ENOMEM:
		kind, hint = fault.Exhausted, "make room there: without a record nothing new may start"
	case unix.ENOENT:
		kind, hint = fault.NotFound, "nothing was recorded there yet; the first run begins the record"
	}
	return fault.Wrap(kind, err, "audit").WithHint("%s", hint)
}

// Tampered is the fault of a record that is not as it was written.
func Tampered(path, format string, args ...any) error {
	return fault.New(fault.Tampered, "audit "+path+": "+format, args...).
		WithHint("see `nacre audit verify`; to begin anew, move the folder aside and keep it")
}
