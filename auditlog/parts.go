package auditlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/audit"
	"nacre/fault"
)

const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK

func exhausted(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// part is one file of the record: the current one, or one that was closed.
type part struct {
	name  string
	first uint64 // sequence of its first record; 0 for the current one
	bare  bool   // only the hashes of its records are left
	f     *os.File
	info  fs.FileInfo
}

func closedName(first uint64) string { return fmt.Sprintf("audit-%012d.jsonl", first) }
func hashesName(first uint64) string { return fmt.Sprintf("audit-%012d.hashes", first) }

// partOf reads a name. There is one way to write it.
func partOf(name string) (p part, ok bool) {
	number, kind, _ := strings.Cut(strings.TrimPrefix(name, "audit-"), ".")
	first, err := strconv.ParseUint(number, 10, 63)
	p = part{name: name, first: first, bare: kind == "hashes"}
	return p, err == nil && first > 0 && (name == closedName(first) || name == hashesName(first))
}

// parts are all files of a record in order, opened at one moment.
type parts []part

// openParts opens them while no writer, rotation or removal is under way: what
// is unfinished then is of a crash.
func openParts(ctx context.Context, dir string) (list parts, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, audit.Failed(err)
	}
	defer root.Close()
	current, err := audit.Lock(ctx, root, os.O_RDONLY, unix.LOCK_SH, audit.Anybody)
	if fault.KindOf(err) == fault.NotFound {
		if closed, _ := closedParts(root); len(closed) > 0 {
			return nil, audit.Tampered(dir, "its newest file, %s, is gone", audit.FileName)
		}
	}
	if err != nil {
		return nil, err
	}
	defer unix.Flock(int(current.Fd()), unix.LOCK_UN)
	if list, err = closedParts(root); err == nil {
		err = list.open(root)
	}
	last := part{name: audit.FileName, f: current}
	if err == nil {
		last.info, err = current.Stat()
	}
	list = append(list, last)
	if err != nil {
		list.close()
		return nil, audit.Failed(err)
	}
	// A rotation that crashed in the middle leaves the current file a second name.
	if n := len(list) - 2; n >= 0 && os.SameFile(list[n].info, last.info) {
		list[n].f.Close()
		list = slices.Delete(list, n, n+1)
	}
	return list, nil
}

// closedParts are the names that belong to the record; where records and their
// hashes are both there, the records count.
func closedParts(root *os.Root) (list parts, err error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if p, ok := partOf(e.Name()); ok {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.first, b.first), -cmp.Compare(a.name, b.name)) // .jsonl before .hashes
	})
	return slices.CompactFunc(list, func(a, b part) bool { return a.first == b.first }), nil
}

func (list parts) open(root *os.Root) error {
	for i := range list {
		p := &list[i]
		named, err := root.Lstat(p.name)
		if err == nil && !named.Mode().IsRegular() {
			err = fault.New(fault.Invalid, "audit %s/%s is not a regular file", root.Name(), p.name).WithHint("move it away")
		}
		if err == nil {
			p.f, err = root.OpenFile(p.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
		}
		if err == nil {
			p.info, err = p.f.Stat()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (list parts) close() {
	for _, p := range list {
		if p.f != nil {
			p.f.Close()
		}
	}
}
