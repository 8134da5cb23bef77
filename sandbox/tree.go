package sandbox

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox/spawn"
)

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
	flags := uint(unix.AT_EMPTY_PATH)
	if p.Dir {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(int(p.File.Fd()), "", flags|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fault.Wrap(fault.Unsupported, err, "cannot take %s out of the host's tree", p.Path)
	}
	tree := os.NewFile(uintptr(fd), p.Path)
	// Private: a clone of a shared mount is its peer, so that masks laid over it
	// would appear on the host, and the host's later mounts in the sandbox.
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Propagation: unix.MS_PRIVATE, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(fd, "", flags, &attr); err != nil {
		tree.Close()
		return nil, fault.Wrap(fault.Unsupported, err, "the file system of %s has no idmapped mounts", p.Path).
			WithHint("put the folder on ext4, xfs, btrfs or tmpfs, or run nacre as its owner instead of root")
	}
	return tree, nil
}

// idmapNamespace makes a user namespace that maps the folder's owner to the
// agent. It takes a process to make one; the process is ended at once.
func idmapNamespace(p *Pin, m Mapping) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer w.Close()
	var program spawn.Program // ends with this process, whose end of the pipe is the last
	program.Call("pipe", unix.SYS_CLOSE, w.Fd())
	program.Call("wait", unix.SYS_READ, r.Fd(), make([]byte, 1), 1)
	holder, err := program.Hold(unix.CLONE_NEWUSER)
	if err != nil {
		return nil, launchFault(err)
	}
	defer func() {
		_ = holder.Kill()
		_ = holder.Wait()
		program.Release()
	}()
	if err := errors.Join(mapID(holder.PID, "uid_map", int(p.UID), m.UID), mapID(holder.PID, "gid_map", int(p.GID), m.GID)); err != nil {
		return nil, err
	}
	return os.Open("/proc/" + strconv.Itoa(holder.PID) + "/ns/user")
}
