package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// Blocked tells whether an entry is blocked by name: parents are the names of
// the folders above it, from the scanned folder's own path down.
type Blocked func(parents []string, name string) (pattern string, blocked bool)

// Guarded tells whether an entry of a writable folder is guarded; parents are
// the names of the folders above it, as for Blocked. An error refuses the folder.
type Guarded func(parents []string, e fs.DirEntry) (guarded, readOnly bool, err error)

// Findings are what a scan found, relative to the folder, parents before what
// they hold.
type Findings struct {
	Masks  []string          // what the sandbox must not read
	Guards []blueprint.Guard // what can be neither renamed away nor removed
}

// maxEntries bounds one scan: a folder larger than this is refused rather than
// half scanned.
const maxEntries = 5_000_000

// Scan walks a pinned folder by descriptors and lists what has to be masked:
// blocked names, further names of a blocked file (hard links), folders that
// cannot be looked into, and sockets, pipes and devices, behind which there is
// a host process or the kernel instead of data. Where guarded is set, it also
// lists what has to be guarded.
func Scan(ctx context.Context, p *Pin, blocked Blocked, guarded Guarded) (Findings, error) {
	if !p.Dir {
		return Findings{}, nil
	}
	s := scanner{ctx: ctx, blocked: blocked, guarded: guarded, linked: map[string]inode{}, hidden: map[inode]bool{}}
	s.parents = strings.FieldsFunc(p.Path, func(r rune) bool { return r == '/' })
	top, err := openDir(int(p.File.Fd()), ".")
	if err != nil {
		return Findings{}, fault.Wrap(fault.Denied, err, "cannot read %s", p.Path)
	}
	if err := s.folder(top, ""); err != nil {
		return Findings{}, err
	}
	for name, id := range s.linked {
		if s.hidden[id] {
			s.Masks = append(s.Masks, name)
		}
	}
	slices.Sort(s.Masks)
	return s.Findings, nil
}

type inode struct{ dev, ino uint64 }

type scanner struct {
	ctx     context.Context
	blocked Blocked
	guarded Guarded
	parents []string // names of the folders down to the one being read
	seen    int
	linked  map[string]inode // files with several names, not masked so far
	hidden  map[inode]bool   // masked files with several names
	Findings
}

func openDir(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// folder scans one folder and closes it.
func (s *scanner) folder(dir *os.File, rel string) error {
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(512)
		for _, e := range entries {
			if err := s.entry(dir, rel, e); err != nil {
				return err
			}
		}
		if err != nil || len(entries) == 0 {
			return s.ctx.Err()
		}
	}
}

func (s *scanner) entry(dir *os.File, rel string, e fs.DirEntry) error {
	if s.seen++; s.seen > maxEntries {
		return fault.New(fault.Exhausted, "over %d entries to scan for blocked names", maxEntries).
			WithHint("grant a smaller folder")
	}
	name := path.Join(rel, e.Name())
	link := e.Type()&fs.ModeSymlink != 0
	if _, ok := s.blocked(s.parents, e.Name()); ok {
		if id, several := identify(dir, e); several {
			s.hidden[id] = true
		}
		if !link {
			s.Masks = append(s.Masks, name)
		}
		return nil
	}
	if s.guarded != nil {
		guarded, readOnly, err := s.guarded(s.parents, e)
		if err != nil {
			return fault.Wrap(fault.Denied, err, "%s", name)
		}
		if guarded {
			s.Guards = append(s.Guards, blueprint.Guard{Path: name, ReadOnly: readOnly})
		}
	}
	switch {
	case e.IsDir():
		return s.descend(dir, name, e.Name())
	case e.Type().IsRegular():
		if id, several := identify(dir, e); several {
			s.linked[name] = id
		}
	case !link: // a socket, pipe or device
		s.Masks = append(s.Masks, name)
	}
	return nil
}

func (s *scanner) descend(dir *os.File, rel, name string) error {
	sub, err := openDir(int(dir.Fd()), name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // gone meanwhile
	case err != nil:
		// Its owner could open it up again from inside.
		s.Masks = append(s.Masks, rel)
		return nil
	}
	s.parents = append(s.parents, name)
	err = s.folder(sub, rel)
	s.parents = s.parents[:len(s.parents)-1]
	return err
}

// identify is the inode of a regular file, and whether it has several names.
func identify(dir *os.File, e fs.DirEntry) (id inode, several bool) {
	var st unix.Stat_t
	if !e.Type().IsRegular() || unix.Fstatat(int(dir.Fd()), e.Name(), &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return inode{}, false
	}
	return inode{st.Dev, st.Ino}, st.Nlink > 1
}
