// Package sandbox is the host's side of a sandbox: it pins the owner's folders
// by descriptor, finds what has to be masked in them, gives the agent an
// identity and launches the sandbox's first process. The other side, inside
// the boundary, is in its subpackages build and reap.
package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Pin is a folder or file of the host, held by a descriptor that gives no
// access by itself (O_PATH) and that nobody can redirect any more.
type Pin struct {
	File *os.File
	Path string
	Info os.FileInfo
	Dir  bool
	UID  uint32 // its owner on the host
	GID  uint32
}

const noLinks = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// OpenPin walks an absolute path from the root without following any link.
// Errors: NotFound; Denied where the path leads through a link, with the real
// path as the hint.
func OpenPin(path string) (*Pin, error) {
	if !filepath.IsAbs(path) || path != filepath.Clean(path) {
		return nil, fault.New(fault.Invalid, "%q is not a clean absolute path", path)
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: noLinks}
	fd, err := unix.Openat2(root, "."+path, &how)
	if err != nil {
		return nil, pinFault(path, err)
	}
	pin := &Pin{File: os.NewFile(uintptr(fd), path), Path: path}
	st, err := pin.File.Stat()
	if err == nil && !st.IsDir() && !st.Mode().IsRegular() {
		err = fault.New(fault.Denied, "%s is neither a folder nor a regular file", path)
	}
	if err != nil {
		pin.File.Close()
		return nil, err
	}
	owner := st.Sys().(*syscall.Stat_t)
	pin.Info, pin.Dir, pin.UID, pin.GID = st, st.IsDir(), owner.Uid, owner.Gid
	return pin, nil
}

func pinFault(path string, err error) error {
	switch {
	case errors.Is(err, unix.ELOOP):
		f := fault.New(fault.Denied, "%s leads through a symbolic link", path)
		if real, e := filepath.EvalSymlinks(path); e == nil {
			f.Hint = "name the folder itself: " + real
		}
		return f
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return fault.New(fault.NotFound, "%s does not exist", path)
	case errors.Is(err, unix.ENAMETOOLONG):
		return fault.New(fault.Invalid, "the path is over the kernel's limit of 4096 bytes: %.40s…", path)
	default:
		return fault.Wrap(fault.Denied, err, "cannot open %s", path)
	}
}
