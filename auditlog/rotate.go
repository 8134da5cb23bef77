package auditlog

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
	"nacre/fault"
)

// DefaultSize is the size from which on a file of the record is closed.
const DefaultSize = 64 << 20

// Closed is a file of the record that was closed.
type Closed struct {
	Name       string `json:"name"`
	Records    uint64 `json:"records"` // in the whole record, when it was closed
	Checkpoint string `json:"checkpoint"`
}

// Rotator closes files of the record that have grown large.
type Rotator struct {
	Dir    string
	Owner  int
	Caller nacre.Caller
	Signer func() (*Key, error) // asked for only when there is something to sign
	Over   int64                // bytes; smaller files stay as they are
}

// Rotate closes the current file, if that is large enough, and has another one
// continue it. Any number of writers and other rotations may be at work. Nothing
// of the old file is touched, and the new one takes its place at once or not at
// all: after a crash the record is either as before, or rotated.
func (r Rotator) Rotate(ctx context.Context) (*Closed, error) {
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return nil, audit.Failed(err)
	}
	defer root.Close()
	st, err := root.Stat(audit.FileName)
	if err != nil || st.Size() < max(r.Over, 1) {
		return nil, audit.Failed(err)
	}
	key, err := r.Signer() // first: without it all reading is in vain
	if err != nil {
		return nil, err
	}
	s, err := readCurrent(ctx, root) // most is read before other writers have to wait
	if err != nil {
		return nil, err
	}
	f, err := audit.Lock(ctx, root, os.O_RDWR, unix.LOCK_EX, r.Owner)
	if err != nil {
		return nil, err
	}
	defer audit.Unlock(f)
	if now, err := f.Stat(); err != nil || !os.SameFile(now, s.at) {
		return nil, audit.Failed(err) // another rotation was quicker
	}
	if err := s.rest(f); err != nil {
		return nil, err
	}
	if s.size > 0 {
		return nil, fault.New(fault.Conflict, "audit %s: its end is torn by a crash", f.Name()).WithHint("the next record seals it; rotate then")
	}
	if s.first > 1 && s.Seq == s.first {
		return nil, nil // nothing was recorded since the last time
	}
	c, err := r.replace(root, s, key)
	return c, audit.Failed(err)
}

// readCurrent verifies the current file by itself. Its first record tells what
// the tree of all before it was, so that those need not be read.
func readCurrent(ctx context.Context, root *os.Root) (*scanner, error) {
	f, err := audit.Lock(ctx, root, os.O_RDONLY, unix.LOCK_SH, audit.Anybody)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	if err != nil {
		return nil, audit.Failed(err)
	}
	s := newScanner(Report{at: st}, func(Record) error { return nil })
	s.fresh = true
	line, _ := bufio.NewReaderSize(f, audit.MaxLine).ReadSlice('\n')
	if r, _, err := decode(line); err == nil && r.Kind == audit.KindSegment {
		c, t, err := opening(r, Against{})
		if err != nil {
			return nil, audit.Tampered(f.Name(), "its first record: %v", err)
		}
		s.tree, s.Seq, s.Head = t, uint64(c.Tree.N), r.Prev
	}
	s.first = s.Seq + 1
	return s, s.rest(f)
}

// replace has a new file take the place of the one that s has read to its end.
func (r Rotator) replace(root *os.Root, s *scanner, key *Key) (*Closed, error) {
	signed, err := sign(&s.tree, key)
	if err != nil {
		return nil, err
	}
	name := closedName(s.first)
	_, line, err := audit.Head{Seq: s.Seq, Hash: s.Head}.Next(nacre.Event{
		Kind: audit.KindSegment, Subject: name, Caller: r.Caller, Decision: nacre.Allow, Reason: "the record goes on from " + name,
		Detail: map[string]string{"checkpoint": string(signed), "peaks": base64.StdEncoding.EncodeToString(s.tree.bytes())},
	}, time.Now())
	if err != nil {
		return nil, err
	}
	err = place(root, r.Dir, audit.FileName, line, func() error {
		err := root.Link(audit.FileName, name)
		if errors.Is(err, fs.ErrExist) && !secondName(root, name) {
			return audit.Tampered(r.Dir, "%s is in the way, and no file of the record", name)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return audit.SyncFolder(r.Dir)
	})
	return &Closed{Name: name, Records: s.Seq, Checkpoint: string(signed)}, err
}

// secondName tells whether a rotation that crashed gave the current file this
// name already.
func secondName(root *os.Root, name string) bool {
	a, err := root.Lstat(name)
	b, err2 := root.Lstat(audit.FileName)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

// place puts a file with this content in the place of name, at once or not at
// all; before that, when the content is on the disk, it does what ready says. The
// file is locked until its name is on the disk too: what somebody added before
// that would be lost with the name, should the power go.
func place(root *os.Root, dir, name string, b []byte, ready func() error) error {
	draft := name + ".new" // one that a crash left is nothing yet
	if err := root.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer audit.Unlock(f)
	_, err = f.Write(b)
	if err = errors.Join(err, unix.Flock(int(f.Fd()), unix.LOCK_EX), f.Sync()); err == nil {
		err = ready()
	}
	if err == nil {
		err = root.Rename(draft, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(draft))
	}
	return audit.SyncFolder(dir)
}
