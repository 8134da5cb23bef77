package sandbox

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// DetachMapped makes a mount of a pinned folder on which the folder's owner
// appears as the agent: what the owner may do there, the agent may, and what
// the agent makes belongs to the owner. Needs CAP_SYS_ADMIN where the folder's
// file system was mounted, hence real root.
func DetachMapped(p *Pin, m Mapping, init string) (*os.File, error) {
	users, err := idmapNamespace(p, m, init)
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
func idmapNamespace(p *Pin, m Mapping, init string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer w.Close()
	holder, err := start(init, "hold", []*os.File{r}, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: int(p.UID), HostID: m.UID, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: int(p.GID), HostID: m.GID, Size: 1}},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = holder.Kill()
		_, _ = holder.Wait()
	}()
	return os.Open("/proc/" + strconv.Itoa(holder.Pid) + "/ns/user")
}
