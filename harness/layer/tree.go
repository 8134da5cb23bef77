package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// entry is a file or folder of a layer.
type entry struct {
	name string // with slashes, from the layer's folder; empty: that itself
	stat unix.Stat_t
	open func() (*os.File, error)
}

func (e entry) folder() bool     { return e.stat.Mode&unix.S_IFMT == unix.S_IFDIR }
func (e entry) executable() bool { return e.stat.Mode&0o111 != 0 }

// walk visits a folder and all below it, in the order of names, by descriptors: each
// name is looked at once. Anything but files and folders is refused.
func walk(at *os.File, base, name string, visit func(entry) error) error {
	e := entry{name: name}
	if err := unix.Fstatat(int(at.Fd()), base, &e.stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: base + name, Err: err}
	}
	kind := e.stat.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && kind != unix.S_IFREG {
		return fault.New(fault.Tampered, "%s is neither a file nor a folder", name)
	}
	e.open = func() (*os.File, error) {
		fd, err := unix.Openat(int(at.Fd()), base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: base + name, Err: err}
		}
		return os.NewFile(uintptr(fd), base), nil
	}
	if err := visit(e); err != nil || kind == unix.S_IFREG {
		return err
	}
	dir, err := e.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := walk(dir, n, name+"/"+n, visit); err != nil {
			return err
		}
	}
	return nil
}

// tree is the digest of names, contents and which files are executable.
func tree(store *os.File, folder string) (digest string, files int, bytes int64, err error) {
	all := sha256.New()
	err = walk(store, folder, "", func(e entry) error {
		fmt.Fprintf(all, "%q %t %t\n", e.name, e.folder(), e.executable())
		if e.folder() {
			return nil
		}
		f, err := e.open()
		if err != nil {
			return err
		}
		defer f.Close()
		one := sha256.New()
		n, err := io.Copy(one, f)
		files, bytes = files+1, bytes+n
		fmt.Fprintf(all, "%x\n", one.Sum(nil))
		return err
	})
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), files, bytes, err
}

// stamp changes whenever a file is written, replaced or renamed: no program can
// set the time of the last change (ctime) back.
func stamp(store *os.File, folder string) (string, error) {
	all := sha256.New()
	err := walk(store, folder, "", func(e entry) error {
		st := e.stat
		fmt.Fprintf(all, "%q %o %d %d %d %d\n", e.name, st.Mode, st.Size, st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
		return nil
	})
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), err
}
