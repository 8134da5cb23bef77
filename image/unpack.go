package image

import (
	"archive/tar"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// unpacker applies tars to a folder that nobody else writes to.
type unpacker struct {
	image     string // for messages
	root      *os.File
	real      string // root's path as the kernel knows it
	budget    *budget
	whiteouts bool
	notes     notes
	buffer    []byte

	// seen holds what this layer brought, for opaque folders: hashes, so that
	// long names cannot fill the memory; seeded, so that none can be made to
	// collide.
	seen map[uint64]struct{}
	seed maphash.Seed
}

func newUnpacker(image string, root *os.File, b *budget) *unpacker {
	real, _ := os.Readlink(procPath(root)) // empty: no entry will be beneath it
	return &unpacker{image: image, root: root, real: real, budget: b, notes: notes{},
		buffer: make([]byte, 128<<10), seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

// all applies every entry of a tar.
func (u *unpacker) all(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return u.wrap(err, "a layer cannot be read")
		}
		if err := u.entry(h, in); err != nil {
			return u.wrap(err, "entry %q", shorten(h.Name))
		}
	}
}

// wrap makes a fault of an error, once.
func (u *unpacker) wrap(err error, format string, args ...any) error {
	args = append([]any{u.image}, args...)
	f := fault.Wrap(readKind(err), err, "image %q: "+format, args...)
	switch {
	case fault.HintOf(err) != "":
	case f.Kind == fault.Exhausted:
		f.WithHint("make room, or use a smaller image: it must stay within the limits")
	default:
		f.WithHint("the image is damaged or was made to do harm; nothing of it was kept")
	}
	return f
}

// charge takes one entry and its bytes off the budget.
func (u *unpacker) charge(size int64) error {
	u.budget.entries--
	u.budget.bytes -= size
	switch {
	case u.budget.entries < 0:
		return tooMuch(u.image, "over the limit of %d entries", u.budget.limits.MaxEntries)
	case u.budget.bytes < 0:
		return tooMuch(u.image, "over the limit of %d bytes unpacked", u.budget.limits.MaxBytes)
	}
	return nil
}

// clean returns an entry's name relative to the root. A leading slash is
// harmless and common; ".." is neither.
func (u *unpacker) clean(name string) (string, error) {
	if len(name) > u.budget.limits.MaxPath {
		return "", unix.ENAMETOOLONG
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || strings.ContainsRune(part, 0) {
			return "", errors.New("it leads upwards")
		}
	}
	return path.Clean(strings.TrimLeft(name, "/")), nil
}

// entry applies one entry.
func (u *unpacker) entry(h *tar.Header, in io.Reader) error {
	if err := u.charge(h.Size); err != nil {
		return err
	}
	name, err := u.clean(h.Name)
	if err != nil || name == "." || h.Typeflag == tar.TypeXGlobalHeader {
		return err
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if u.whiteouts && strings.HasPrefix(base, whiteout) {
		return u.remove(dir, base)
	}
	parent, err := u.parent(dir, true)
	if err != nil {
		return err
	}
	defer parent.Close()
	u.mark(name)
	u.notes.stripped(h)
	if h.Typeflag == tar.TypeDir && isFolder(parent, base) {
		return chmodFolder(parent, base, mode(h)|0o700)
	}
	if err := removeAll(parent, base); err != nil {
		return err
	}
	return u.create(parent, base, h, in)
}

// create makes the entry, which is not there.
func (u *unpacker) create(parent *os.File, base string, h *tar.Header, in io.Reader) error {
	fd := int(parent.Fd())
	switch h.Typeflag {
	case tar.TypeDir:
		if err := unix.Mkdirat(fd, base, 0o700); err != nil {
			return err
		}
		return chmodFolder(parent, base, mode(h)|0o700)
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.file(fd, base, h, in)
	case tar.TypeSymlink:
		if len(h.Linkname) > u.budget.limits.MaxPath {
			return unix.ENAMETOOLONG
		}
		return unix.Symlinkat(h.Linkname, fd, base)
	case tar.TypeLink:
		return u.link(fd, base, h.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		u.notes.add("devices and fifos left out", h.Name)
		return nil
	}
	return errors.New("unknown type of entry")
}

// file writes a regular file. O_EXCL: it is new, and no link leads elsewhere.
func (u *unpacker) file(parent int, base string, h *tar.Header, in io.Reader) error {
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), base)
	defer out.Close()
	// Hidden behind a plain Writer, so that our buffer is the one used.
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, in, u.buffer); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, mode(h)|0o400); err != nil {
		return err
	}
	at := unix.NsecToTimespec(clamp(h.ModTime).UnixNano())
	if err := unix.UtimesNanoAt(parent, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return out.Close()
}

// link makes a hard link to what is already inside the root; a symlink is
// linked itself, not followed.
func (u *unpacker) link(parent int, base, target string) error {
	name, err := u.clean(target)
	if err != nil {
		return err
	}
	dir, old := path.Split(name)
	from, err := u.parent(strings.TrimSuffix(dir, "/"), false)
	if err != nil {
		return err
	}
	defer from.Close()
	return unix.Linkat(int(from.Fd()), old, parent, base, 0)
}

// mode is what is kept of an entry's mode.
func mode(h *tar.Header) uint32 {
	if h.Typeflag == tar.TypeDir {
		return uint32(h.Mode) & 0o1777
	}
	return uint32(h.Mode) & 0o777
}

// clamp keeps times that every file system can hold.
func clamp(t time.Time) time.Time {
	if t.Unix() < 0 || t.Unix() > 1<<32 {
		return time.Unix(0, 0)
	}
	return t
}

func shorten(name string) string {
	if len(name) > 200 {
		return name[:200] + "…"
	}
	return name
}
