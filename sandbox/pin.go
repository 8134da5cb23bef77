// Package sandbox is the host's side of a sandbox: it pins the owner's folders
// by descriptor, finds what has to be masked in them, gives the agent an
// identity and launches the sandbox's first process. The other side, inside
// the boundary, is in its subpackages build and reap.
package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox/spawn"
)

// Pin is a folder or file of the host, held by a descriptor that gives no
// access by itself (O_PATH) and that nobody can redirect any more.
type Pin struct {
	File *os.File
	Path string
	Info os.FileInfo
	Dir  bool
}

// OpenPin walks an absolute path from the root without following any link.
// Errors: NotFound; Denied where the path leads through a link, with the real
// path as the hint.
func OpenPin(path string) (*Pin, error) {
	if !filepath.IsAbs(path) || path != filepath.Clean(path) {
		return nil, fault.New(fault.Invalid, "%q is not a clean absolute path", path)
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
	if err != nil {
		return nil, pinFault(path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	st, err := file.Stat()
	if err == nil && !st.IsDir() && !st.Mode().IsRegular() {
		err = fault.New(fault.Denied, "%s is neither a folder nor a regular file", path).WithHint("grant a folder or a file: behind all else is a program of yours, or the kernel")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Pin{File: file, Path: path, Info: st, Dir: st.IsDir()}, nil
}

func pinFault(path string, err error) error {
	switch {
	case errors.Is(err, unix.ELOOP):
		f := fault.New(fault.Denied, "%s leads through a symbolic link", path).WithHint("name what it leads to; ls -l shows where links lead")
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

// DetachMapped makes a mount of a pinned folder on which the folder's owner
// appears as the agent: what the owner may do there, the agent may, and what
// the agent makes belongs to the owner. Needs CAP_SYS_ADMIN where the folder's
// file system was mounted, hence real root.
func DetachMapped(p *Pin, m Mapping) (*os.File, error) {
	users, err := idmapNamespace(p, m)
	if err != nil {
		return nil, err
	}
	defer users.Close()
	const whole = unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	fd, err := unix.OpenTree(int(p.File.Fd()), "", whole|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fault.Wrap(fault.Unsupported, err, "cannot take %s out of the host's tree", p.Path)
	}
	tree := os.NewFile(uintptr(fd), p.Path)
	// Private: a clone of a shared mount is its peer, so that masks laid over it
	// would appear on the host, and the host's later mounts in the sandbox.
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Propagation: unix.MS_PRIVATE, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(fd, "", whole, &attr); err != nil {
		tree.Close()
		return nil, fault.Wrap(fault.Unsupported, err, "the file system of %s has no idmapped mounts", p.Path).
			WithHint("put the folder on ext4, xfs, btrfs or tmpfs, or run nacre as its owner instead of root")
	}
	return tree, nil
}

// idmapNamespace makes a user namespace that maps the folder's owner to the
// agent. It takes a process to make one, which is ended at once, or by our own end.
func idmapNamespace(p *Pin, m Mapping) (*os.File, error) {
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(self)
	var program spawn.Program
	program.Call("wait for our end", unix.SYS_PPOLL, []uint32{uint32(self), unix.POLLIN}, 1, 0, 0, 0) // struct pollfd
	defer program.Release()
	holder, err := program.Hold(unix.CLONE_NEWUSER)
	if err != nil {
		return nil, launchFault(err)
	}
	defer holder.End()
	owner := p.Info.Sys().(*syscall.Stat_t)
	if err := errors.Join(mapID(holder.PID, "uid_map", int(owner.Uid), m.UID), mapID(holder.PID, "gid_map", int(owner.Gid), m.GID)); err != nil {
		return nil, mapFault(err)
	}
	return os.Open("/proc/" + strconv.Itoa(holder.PID) + "/ns/user")
}
