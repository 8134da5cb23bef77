package traps

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxHash    = 1 << 20   // larger files are told by their times
	maxHashing = 256 << 20 // of one walk; beyond, likewise
	maxTarget  = 4096      // PATH_MAX: no link is longer
	setBits    = unix.S_ISUID | unix.S_ISGID
)

// stamp is how an entry was found.
type stamp struct {
	rule         *rule
	under        string // the folder above that the rule names; empty where it names the entry
	dev, ino     uint64
	rdev         uint64
	size         int64
	mtime, ctime unix.Timespec
	mode         uint32
	target       string // of a link
	sum          [sha256.Size]byte
	hashed       bool
}

// same tells whether nothing that matters is different.
func (a stamp) same(b stamp) bool {
	kind := a.mode & unix.S_IFMT
	switch {
	case kind != b.mode&unix.S_IFMT || a.target != b.target:
		return false
	case a.rule == &hostileName || kind == unix.S_IFDIR:
		return true
	case kind == unix.S_IFLNK:
		return a.hashed == b.hashed && a.sum == b.sum
	case kind == unix.S_IFREG:
		return (a.mode^b.mode)&(setBits|0o111) == 0 && (a.untouched(b) || a.hashed && b.hashed && a.sum == b.sum)
	default: // a pipe's times change as it is used
		return a.dev == b.dev && a.ino == b.ino && a.rdev == b.rdev
	}
}

// untouched tells whether it is the same file, which nobody wrote to since.
func (a stamp) untouched(b stamp) bool {
	return a.dev == b.dev && a.ino == b.ino && a.size == b.size && a.mtime == b.mtime && a.ctime == b.ctime
}

// stamp stamps an entry of p.
func (w *walker) stamp(p place, name string, k key, r *rule, under string) {
	s := stamp{rule: r, under: under}
	fd, err := unix.Openat(p.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		s.inspect(fd)
	} // else it is named without its state
	switch s.mode & unix.S_IFMT {
	case unix.S_IFLNK:
		s.target = readLink(p.fd, name)
		if k.kind != LinkOut { // what it leads to inside the folder is what counts
			if to, err := w.resolve(k.path); err == nil {
				var t stamp
				t.inspect(to)
				w.content(to, k, &t)
				unix.Close(to)
				s.sum, s.hashed = t.sum, t.hashed
			}
		}
	case unix.S_IFREG:
		w.content(fd, k, &s)
	}
	w.stamps[k] = s
	w.size += len(k.path) + len(s.target) + stampSize
}

func (s *stamp) inspect(fd int) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		s.dev, s.ino, s.rdev, s.size = st.Dev, st.Ino, st.Rdev, st.Size
		s.mtime, s.ctime, s.mode = st.Mtim, st.Ctim, st.Mode
	}
}

// content hashes a small regular file that an O_PATH descriptor holds. It is
// opened through the descriptor, so that what was inspected is what is opened.
func (w *walker) content(fd int, k key, s *stamp) {
	if s.mode&unix.S_IFMT != unix.S_IFREG || s.size > maxHash || w.hashed > maxHashing || !w.hash(k, *s) {
		return
	}
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, maxHash+1))
	w.hashed += n
	if err == nil && n <= maxHash {
		s.hashed = true
		sum.Sum(s.sum[:0])
	}
}

// regular stamps a file that runs as its owner or group.
func (w *walker) regular(p place, name, rel string) {
	var st unix.Stat_t
	if unix.Fstatat(p.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&setBits != 0 {
		w.stamp(p, name, key{rel, SetUID}, &setID, "")
	}
}

// link stamps a link that leads out of the folder, or would once what is
// missing on its way is made.
func (w *walker) link(p place, name, rel string) {
	target := readLink(p.fd, name)
	joined := path.Join(p.path, target)
	out := target == "" || path.IsAbs(target) || joined == ".." || strings.HasPrefix(joined, "../")
	if !out {
		fd, err := w.resolve(rel)
		if err == nil {
			unix.Close(fd)
		}
		out = err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENOTDIR)
	}
	if !out {
		return
	}
	r := &linkOut
	for _, place := range system {
		if strings.HasPrefix(path.Clean(target), place) {
			r = &linkSystem
		}
	}
	w.stamp(p, name, key{rel, LinkOut}, r, "")
}

// resolve follows a path that may not leave the folder, and gives a descriptor
// that opens nothing.
func (w *walker) resolve(rel string) (fd int, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	for range 8 { // EAGAIN: something was renamed meanwhile
		if fd, err = unix.Openat2(w.top, rel, &how); !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return fd, err
}

// readLink is where a link leads, empty where that cannot be told.
func readLink(at int, name string) string {
	buf := make([]byte, maxTarget)
	n, err := unix.Readlinkat(at, name, buf)
	if err != nil || n <= 0 {
		return ""
	}
	return string(buf[:n])
}
