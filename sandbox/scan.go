package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/fault"
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
	Masks  []string // what the sandbox must not read
	Guards []Guard  // what can be neither renamed away nor removed
}

// Guard is one such thing.
type Guard struct {
	Path     string
	ReadOnly bool
}

// maxEntries bounds one scan: a folder larger than this is refused rather than
// half scanned.
const maxEntries = 5_000_000

// What a scan remembers is names that an agent may have chosen: all of them
// together, and the path of a folder that is still looked into, have a bound.
const (
	maxNames = 64 << 20 // bytes
	maxPath  = 3 << 10  // leaves room for a name and for where the folder is
)

// Scanner finds what has to be masked in a granted folder, by descriptors:
// blocked names, further names of a blocked file (hard links), folders that
// cannot be looked into, and sockets, pipes and devices, behind which there is
// a host process or the kernel instead of data.
type Scanner struct {
	Pin     *Pin
	Blocked Blocked
	Guarded Guarded // where set, what has to be guarded is listed too
	Hidden  Hidden  // the masked files, of earlier scans and of other folders too; nil: none so far
	// Watch, where set, is told of each folder before it is read, so that
	// nothing can appear in between.
	Watch func(dir *os.File, rel string) error

	ctx     context.Context
	parents []string // names of the folders down to the one being read
	seen    int
	names   int              // bytes remembered
	linked  map[string]inode // files with several names, not masked so far
	Findings
}

type inode struct{ dev, ino uint64 }

// Hidden are the masked files of all folders of a sandbox.
type Hidden map[inode]bool

// Beneath adds the files at a path, and beneath it, that have other names too: none of
// these may be seen either. What is not there, or cannot be looked into, has none that
// the owner could have made.
func (h Hidden) Beneath(top string) {
	_ = filepath.WalkDir(top, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			if id, several := of(info); several {
				h[id] = true
			}
		}
		return nil
	})
}

// of is the inode of something, and whether it has several names.
func of(info fs.FileInfo) (id inode, several bool) {
	st := info.Sys().(*syscall.Stat_t)
	return inode{st.Dev, st.Ino}, st.Nlink > 1
}

// Scan scans the whole folder.
func (s *Scanner) Scan(ctx context.Context) (Findings, error) {
	if s.linked = map[string]inode{}; !s.Pin.Dir {
		if id, several := of(s.Pin.Info); several {
			s.linked["."] = id
		}
		return Findings{}, nil
	}
	return s.find(ctx, ".", func(top *os.File) error { return s.folder(top, "") })
}

// Entry scans one entry of a folder in it again, with all that it holds. What
// is gone holds nothing.
func (s *Scanner) Entry(ctx context.Context, folder, name string) (Findings, error) {
	found, err := s.find(ctx, path.Join(".", folder), func(dir *os.File) error {
		info, err := os.Lstat(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name))
		if err == nil {
			err = s.entry(dir, folder, fs.FileInfoToDirEntry(info))
		}
		return errors.Join(err, dir.Close())
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		err = nil
	}
	return found, err
}

// find opens a folder beneath the pin, has it scanned and closed, and sums up.
func (s *Scanner) find(ctx context.Context, rel string, scan func(*os.File) error) (Findings, error) {
	s.ctx, s.Findings, s.seen, s.names, s.linked = ctx, Findings{}, 0, 0, map[string]inode{}
	if s.Hidden == nil {
		s.Hidden = Hidden{}
	}
	s.parents = slices.DeleteFunc(strings.Split(path.Join(s.Pin.Path, rel), "/"), func(c string) bool { return c == "" })
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(int(s.Pin.File.Fd()), rel, &how)
	if err != nil {
		return Findings{}, fault.Wrap(fault.Denied, err, "cannot read %s", path.Join(s.Pin.Path, rel))
	}
	if err := scan(os.NewFile(uintptr(fd), rel)); err != nil {
		return Findings{}, err
	}
	s.Masks = append(s.Masks, s.Further()...)
	slices.Sort(s.Masks)
	return s.Findings, nil
}

// Several tells whether the last scan found files that have other names, maybe elsewhere.
func (s *Scanner) Several() bool { return len(s.linked) > 0 }

// Further are further names of masked files that the last scan found, and those that it
// would have found after later ones of other folders.
func (s *Scanner) Further() (names []string) {
	for name, id := range s.linked {
		if s.Hidden[id] {
			names = append(names, name)
			delete(s.linked, name)
		}
	}
	return slices.Sorted(slices.Values(names))
}

// folder scans one folder and closes it.
func (s *Scanner) folder(dir *os.File, rel string) error {
	defer dir.Close()
	if s.Watch != nil {
		if err := s.Watch(dir, rel); err != nil {
			return err
		}
	}
	for {
		entries, err := dir.ReadDir(512)
		for _, e := range entries {
			if err := s.entry(dir, rel, e); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF || errors.Is(err, fs.ErrNotExist): // or removed meanwhile
			return s.ctx.Err()
		case err != nil:
			return err
		}
	}
}

func (s *Scanner) entry(dir *os.File, rel string, e fs.DirEntry) error {
	if s.seen++; s.seen > maxEntries || s.names > maxNames {
		return fault.New(fault.Exhausted, "over %d entries to scan for blocked names, or %d MiB of names found", maxEntries, maxNames>>20).
			WithHint("grant a smaller folder")
	}
	name := path.Join(rel, e.Name())
	link := e.Type()&fs.ModeSymlink != 0
	if _, ok := s.Blocked(s.parents, e.Name()); ok {
		if id, _ := identify(dir, e); id != (inode{}) {
			s.Hidden[id] = true
		}
		if !link {
			s.mask(name)
		}
		return nil
	}
	if s.Guarded != nil {
		guarded, readOnly, err := s.Guarded(s.parents, e)
		if err != nil {
			return fault.Wrap(fault.Denied, err, "%s", name)
		}
		if guarded {
			s.names += len(name)
			s.Guards = append(s.Guards, Guard{name, readOnly})
		}
	}
	switch {
	case e.IsDir():
		return s.descend(dir, name, e.Name())
	case e.Type().IsRegular():
		if id, several := identify(dir, e); several {
			s.names += len(name)
			s.linked[name] = id
		}
	case !link: // a socket, pipe or device
		s.mask(name)
	}
	return nil
}

func (s *Scanner) mask(name string) {
	s.names += len(name)
	s.Masks = append(s.Masks, name)
}

func (s *Scanner) descend(dir *os.File, rel, name string) error {
	if len(rel) > maxPath {
		s.mask(rel) // hardly a path leads further
		return nil
	}
	sub, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // gone meanwhile
	case err != nil:
		s.mask(rel) // its owner could open it up again from inside
		return nil
	}
	s.parents = append(s.parents, name)
	err = s.folder(os.NewFile(uintptr(sub), name), rel)
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
