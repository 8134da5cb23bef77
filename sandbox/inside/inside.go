// Package inside masks and guards entries of a running sandbox, from outside. It lays over
// them only what is the sandbox's own: a blank, or the entry itself.
package inside

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/spawn"
)

// View is a running sandbox's file system, seen and masked from outside.
type View struct {
	pidfd, root  int
	file, folder int    // blanks that every sandbox has
	blanks       uint64 // the device that they are on
}

// Enter takes hold of it by the sandbox's first process.
func Enter(pid int) (*View, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "cannot see the sandbox's root")
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	i := &View{pidfd: pidfd, root: root}
	// Two of the masks that package build lays over entries which every kernel has.
	file, st, err2 := i.at("/proc/interrupts")
	folder, also, err3 := i.at("/proc/bus")
	i.file, i.folder, i.blanks = file, folder, st.Dev
	if err := errors.Join(err, err2, err3); err != nil || st.Mode&0o7777 != 0 || also.Dev != st.Dev {
		i.Close()
		return nil, fault.Wrap(fault.Tampered, err, "the sandbox has no blanks to mask with")
	}
	return i, nil
}

// Close lets go of it.
func (i *View) Close() { blueprint.CloseAll([]int{i.pidfd, i.root, i.file, i.folder}) }

// Gone tells whether the sandbox's first process has ended.
func (i *View) Gone() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(i.pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// at opens a path of the sandbox without following a link.
func (i *View) at(name string) (fd int, st unix.Stat_t, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	if fd, err = unix.Openat2(i.root, "."+name, &how); err == nil {
		err = unix.Fstat(fd, &st)
	}
	return fd, st, err
}

// Mask lays a blank over an entry beneath a folder of the sandbox and returns the
// entry if it had none; or the folder that it is in, where that was closed
// meanwhile or it is deeper than paths go. What is not there (any more) is left
// out. It may be replaced meanwhile: what is returned has to be looked at again.
func (i *View) Mask(folder, name string) (bare string, err error) {
	entry, st, err := i.at(path.Join(folder, name))
	for (errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENAMETOOLONG)) && name != "." {
		name = path.Dir(name)
		entry, st, err = i.at(path.Join(folder, name))
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return "", nil
	}
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "cannot see %s in the sandbox", name)
	}
	defer unix.Close(entry)
	switch kind := st.Mode & unix.S_IFMT; {
	case st.Dev == i.blanks, kind == unix.S_IFLNK:
		return "", nil
	case kind == unix.S_IFDIR:
		return name, i.lay(i.folder, entry, 0, false)
	}
	return name, i.lay(i.file, entry, 0, false)
}

// Guard lays an entry beneath a folder of the sandbox over itself, as package
// build does, where it is no mount, and tells whether it was none. What is not
// there, or a link, is left out.
func (i *View) Guard(folder string, g sandbox.Guard) (bare bool, err error) {
	entry, _, err := i.at(path.Join(folder, g.Path))
	if err != nil {
		return false, nil
	}
	defer unix.Close(entry)
	var st unix.Statx_t
	if err := unix.Statx(entry, "", unix.AT_EMPTY_PATH, 0, &st); err != nil || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return false, err
	}
	return true, i.lay(entry, entry, unix.AT_RECURSIVE, g.ReadOnly)
}

// lay has a child of ours join the sandbox's user and mount namespaces and lay
// what is at one descriptor over what is at another: only who is there may mount
// there, and only a process with a single thread can go there (setns(2)).
func (i *View) lay(what, over int, flags int, readOnly bool) error {
	flags |= unix.AT_EMPTY_PATH
	var p spawn.Program
	p.Call("enter", unix.SYS_SETNS, i.pidfd, unix.CLONE_NEWUSER|unix.CLONE_NEWNS)
	mount := p.Call("clone", unix.SYS_OPEN_TREE, what, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|flags)
	if readOnly {
		attr := []uint32{unix.MOUNT_ATTR_RDONLY, 0, 0, 0, 0, 0, 0, 0} // the kernel's struct mount_attr: four numbers of 64 bits
		p.Call("read-only", unix.SYS_MOUNT_SETATTR, mount, "", flags, attr, unix.MOUNT_ATTR_SIZE_VER0)
	}
	p.Call("mount", unix.SYS_MOVE_MOUNT, mount, "", over, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	p.Call("end", unix.SYS_EXIT_GROUP, 0)
	child, err := p.Start(0, -1)
	if err == nil {
		if err = child.Wait(); err == nil && !child.Killed {
			return nil
		}
	}
	if errors.Is(err, unix.ENOENT) {
		return nil // removed meanwhile
	}
	return fault.Wrap(fault.Internal, err, "cannot mask in the running sandbox")
}
