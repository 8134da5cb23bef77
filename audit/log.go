package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

const (
	mark    = "#torn\n"         // closes a line that a crash left unfinished
	maxLine = MaxRecord + 4<<10 // such a line, with marks of sealers that crashed too
	window  = 256 << 10         // how far back a writer looks for the last record
)

// Log is an open audit, for any number of goroutines. Its zero value refuses
// every record.
type Log struct {
	dir   *os.Root
	owner int
	now   func() time.Time
	mu    sync.Mutex
	last  head // the newest record that this Log has written
}

// Open opens the audit in dir, creating what is missing. The folder and the
// file must belong to the user owner, and nobody else may write there.
func Open(dir string, owner int) (*Log, error) {
	l := &Log{owner: owner, now: time.Now, last: head{hash: noHash}}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		l.dir, err = os.OpenRoot(dir)
	}
	if err == nil {
		err = l.prepare(dir)
	}
	if err != nil {
		l.Close()
		return nil, failed(err)
	}
	return l, nil
}

// prepare checks the folder, makes the file, and sees that both will last.
func (l *Log) prepare(dir string) error {
	st, err := l.dir.Stat(".")
	if err == nil {
		err = trust(st, dir, l.owner, 0o022)
	}
	if err != nil {
		return err
	}
	f, err := open(context.Background(), l.dir, os.O_RDWR|os.O_CREATE, unix.LOCK_EX, l.owner)
	if err != nil {
		return err
	}
	defer unlock(f)
	if st, err = f.Stat(); err != nil || st.Size() > 0 {
		return err
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		d, err := os.Open(path)
		if err == nil {
			err = d.Sync()
			d.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	f, err := open(ctx, l.dir, os.O_RDWR|os.O_APPEND, unix.LOCK_EX, l.owner)
	if fault.KindOf(err) == fault.NotFound {
		return tampered(l.dir.Name(), "the record vanished while it was in use")
	}
	if err != nil {
		return err
	}
	defer unlock(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	h, torn, size, err := tail(f)
	if err != nil {
		return failed(err)
	}
	if h.seq < l.last.seq || h.seq == l.last.seq && h != l.last {
		return tampered(f.Name(), "record %d is gone or changed since this process wrote it", l.last.seq)
	}
	h, lines, err := h.compose(torn, e, l.now())
	if err != nil {
		return fault.Wrap(fault.Internal, err, "audit")
	}
	if err := write(f, size, lines); err != nil {
		return failed(err)
	}
	l.last = h
	return nil
}

// compose makes the bytes that record e after h, and before it what is torn.
func (h head) compose(torn []byte, e nacre.Event, now time.Time) (_ head, lines []byte, err error) {
	events := []nacre.Event{e}
	if len(torn) > 0 {
		torn, lines = append(torn, mark...), []byte(mark)
		events = []nacre.Event{{
			Kind:   kindCrash,
			Caller: nacre.Caller{UID: os.Getuid(), PID: os.Getpid(), Name: "audit"},
			Reason: "a writer was interrupted: its record is torn and was never confirmed",
			Detail: map[string]string{"bytes": strconv.Itoa(len(torn)), "sha256": digest(torn)},
		}, e}
	}
	for _, e := range events {
		var line []byte
		if h, line, err = h.next(e, now); err != nil {
			return h, nil, err
		}
		lines = append(lines, line...)
	}
	return h, lines, nil
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

// isTorn reports whether a line is one that was never finished, sealed or not.
// Zeros are what file systems leave of a block that did not reach the disk.
func isTorn(line []byte) bool {
	return bytes.HasSuffix(line, []byte(mark)) || bytes.IndexByte(line, 0) >= 0 || !bytes.HasSuffix(line, []byte("\n"))
}

// tail finds the newest record (of sequence 0 where there is none), the torn
// bytes after it, and the file's size.
func tail(f *os.File) (h head, torn []byte, size int64, err error) {
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return h, nil, 0, err
	}
	b := make([]byte, min(window, size))
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil {
		return h, nil, 0, err
	}
	if size > window {
		_, b, _ = bytes.Cut(b, []byte("\n")) // what comes first may be half a line
	}
	for end := len(b); end > 0; {
		start := bytes.LastIndexByte(b[:end-1], '\n') + 1
		if line := b[start:end]; !isTorn(line) || len(line) > maxLine {
			r, err := decode(line)
			if err != nil {
				err = tampered(f.Name(), "its last record is %v", err)
			}
			return head{r.Seq, r.Hash}, b[end:], size, err
		}
		end = start
	}
	if size > window {
		err = tampered(f.Name(), "no record within its last %d bytes", window)
	}
	return head{hash: noHash}, b, size, err
}
