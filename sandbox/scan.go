package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"sort"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Blocked tells whether an entry is blocked by name: parents are the names of
// the folders above it, from the scanned folder's own path down.
type Blocked func(parents []string, name string) (pattern string, blocked bool)

// Mask is an entry of a host folder that the sandbox must not read.
type Mask struct {
	Path   string // relative to the folder
	Reason string // the pattern, or what kind of thing it is
}

// Guard is an entry of a writable host folder that becomes a mount of its own,
// so that it can be neither renamed away nor removed.
type Guard struct {
	Path     string // relative to the folder
	ReadOnly bool
}

// Guarded tells whether an entry of a writable folder is guarded; parents are
// the names of the folders above it, as for Blocked.
type Guarded func(parents []string, name string, dir bool) (guarded, readOnly bool)

// Findings are what a scan found, parents before what they hold.
type Findings struct {
	Masks  []Mask
	Guards []Guard
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
	s := scanner{ctx: ctx, blocked: blocked, guarded: guarded, hidden: map[inode]string{}, parents: components(p.Path)}
	top, err := openDir(int(p.File.Fd()), ".")
	if err != nil {
		return Findings{}, fault.Wrap(fault.Denied, err, "cannot read %s", p.Path)
	}
	if err := s.folder(top, ""); err != nil {
		return Findings{}, err
	}
	for _, l := range s.linked {
		if name, ok := s.hidden[l.inode]; ok {
			s.masks = append(s.masks, Mask{l.path, "hard link to " + name})
		}
	}
	sort.Slice(s.masks, func(i, j int) bool { return s.masks[i].Path < s.masks[j].Path })
	return Findings{s.masks, s.guards}, nil
}

type inode struct{ dev, ino uint64 }

type linkedFile struct {
	inode inode
	path  string
}

type scanner struct {
	ctx     context.Context
	blocked Blocked
	guarded Guarded
	parents []string // names of the folders down to the one being read
	seen    int
	masks   []Mask
	guards  []Guard
	linked  []linkedFile     // files with several names, not masked so far
	hidden  map[inode]string // masked files with several names
}

func components(p string) (parts []string) {
	for p != "/" && p != "." && p != "" {
		parts = append([]string{path.Base(p)}, parts...)
		p = path.Dir(p)
	}
	return parts
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
	if pattern, ok := s.blocked(s.parents, e.Name()); ok {
		if e.Type()&fs.ModeSymlink == 0 {
			s.mask(dir, name, e, pattern)
		}
		return nil
	}
	if s.guarded != nil && e.Type()&fs.ModeSymlink == 0 {
		if guarded, readOnly := s.guarded(s.parents, e.Name(), e.IsDir()); guarded {
			s.guards = append(s.guards, Guard{name, readOnly})
		}
	}
	switch {
	case e.IsDir():
		return s.descend(dir, name, e.Name())
	case e.Type().IsRegular():
		if id, n := identify(dir, e.Name()); n > 1 {
			s.linked = append(s.linked, linkedFile{id, name})
		}
	case e.Type()&fs.ModeSymlink == 0:
		s.masks = append(s.masks, Mask{name, "not a file or folder"})
	}
	return nil
}

func (s *scanner) mask(dir *os.File, name string, e fs.DirEntry, pattern string) {
	s.masks = append(s.masks, Mask{name, pattern})
	if e.Type().IsRegular() {
		if id, n := identify(dir, e.Name()); n > 1 {
			s.hidden[id] = name
		}
	}
}

func (s *scanner) descend(dir *os.File, rel, name string) error {
	sub, err := openDir(int(dir.Fd()), name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // gone meanwhile
	case err != nil:
		// Its owner could open it up again from inside.
		s.masks = append(s.masks, Mask{rel, "cannot be scanned"})
		return nil
	}
	s.parents = append(s.parents, name)
	err = s.folder(sub, rel)
	s.parents = s.parents[:len(s.parents)-1]
	return err
}

// identify is the inode of a file and its number of names.
func identify(dir *os.File, name string) (inode, uint64) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return inode{}, 0
	}
	return inode{st.Dev, st.Ino}, uint64(st.Nlink)
}
