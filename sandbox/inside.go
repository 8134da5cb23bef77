package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// Inside is a running sandbox's file system, seen and masked from outside.
type Inside struct{ pidfd, root int }

// Enter takes hold of it by the sandbox's first process.
func Enter(pid int) (*Inside, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "cannot see the sandbox's root")
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		unix.Close(root)
		return nil, err
	}
	return &Inside{pidfd, root}, nil
}

// Close lets go of it.
func (i *Inside) Close() { blueprint.CloseAll([]int{i.pidfd, i.root}) }

// Gone tells whether the sandbox's first process has ended.
func (i *Inside) Gone() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(i.pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// at opens a path of the sandbox without following a link.
func (i *Inside) at(name string) (fd int, st unix.Stat_t, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: noLinks}
	if fd, err = unix.Openat2(i.root, "."+name, &how); err == nil {
		err = unix.Fstat(fd, &st)
	}
	return fd, st, err
}

// The blanks that every sandbox has: two of the masks that package build lays
// over entries of /proc which every kernel has.
const (
	blankFile   = "/proc/interrupts"
	blankFolder = "/proc/bus"
)

// layer is a blank to be laid over an entry, or the entry itself, to be so as a
// mount of its own with these attributes.
type layer struct {
	over, entry int
	flags       uintptr
	attr        unix.MountAttr
}

// Mask lays blanks over entries beneath a folder of the sandbox and returns
// those that had none. What is not there (any more) is left out. Entries may be
// replaced meanwhile: what it returns has to be looked at again.
func (i *Inside) Mask(folder string, names []string) (bare []string, err error) {
	var layers []layer
	file, blank, err := i.at(blankFile)
	dir, also, err2 := i.at(blankFolder)
	open := []int{file, dir}
	defer func() { blueprint.CloseAll(open) }()
	if err := errors.Join(err, err2); err != nil || blank.Mode&0o7777 != 0 || also.Dev != blank.Dev {
		return nil, fault.Wrap(fault.Tampered, err, "the sandbox has no blanks to mask with")
	}
	for _, name := range names {
		entry, st, err := i.at(path.Join(folder, name))
		for (errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENAMETOOLONG)) && name != "." {
			name = path.Dir(name) // closed meanwhile, or deeper than paths go: that folder, then
			entry, st, err = i.at(path.Join(folder, name))
		}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue
		}
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "cannot see %s in the sandbox", name)
		}
		open = append(open, entry)
		kind := st.Mode & unix.S_IFMT
		if st.Dev == blank.Dev || kind == unix.S_IFLNK {
			continue
		}
		l := layer{over: file, entry: entry}
		if kind == unix.S_IFDIR {
			l.over = dir
		}
		layers, bare = append(layers, l), append(bare, name)
	}
	if len(layers) > 0 {
		err = i.lay(layers)
	}
	return bare, err
}

// Guard lays an entry beneath a folder of the sandbox over itself, as package
// build does, where it is no mount, and tells whether it was none. What is not
// there, or a link, is left out.
func (i *Inside) Guard(folder string, g blueprint.Guard) (bare bool, err error) {
	entry, _, err := i.at(path.Join(folder, g.Path))
	if err != nil {
		return false, nil
	}
	defer unix.Close(entry)
	var st unix.Statx_t
	if err := unix.Statx(entry, "", unix.AT_EMPTY_PATH, 0, &st); err != nil || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return false, err
	}
	l := layer{over: entry, entry: entry, flags: unix.AT_RECURSIVE}
	if g.ReadOnly {
		l.attr.Attr_set = unix.MOUNT_ATTR_RDONLY
	}
	return true, i.lay([]layer{l})
}

// lay has a child of ours join the sandbox's user and mount namespaces and lay
// the blanks: only who is there may mount there, and only a process with a
// single thread can go there (setns(2)).
func (i *Inside) lay(layers []layer) error {
	pid, e := fork(i.pidfd, layers)
	if e != 0 {
		return os.NewSyscallError("clone", e)
	}
	var status unix.WaitStatus
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Wait4(pid, &status, 0, nil)
	}
	if err != nil || status == 0 {
		return err
	}
	return fault.Wrap(fault.Internal, unix.Errno(status.ExitStatus()), "cannot mask in the running sandbox")
}

// fork makes the child, with all signals blocked: one would have Go's handler run
// in a child in which Go does not. Between clone and exit it does nothing but
// system calls on descriptors that are open already. Its status is an error's
// number. Nosplit, as in package spawn: a thread that is put aside with its
// signals blocked would have syscall.AllThreadsSyscall wait for ever.
//
//go:nosplit
//go:norace
//go:noinline
func fork(pidfd int, layers []layer) (int, unix.Errno) {
	const (
		clone = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
		move  = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	)
	var empty [1]byte
	all, before := ^uint64(0), uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&before)), 0, 8, 0, 0)
		return int(pid), e
	}
	_, _, e = unix.RawSyscall(unix.SYS_SETNS, uintptr(pidfd), unix.CLONE_NEWUSER|unix.CLONE_NEWNS, 0)
	for n := 0; n < len(layers) && e == 0; n++ {
		var mount uintptr
		l := &layers[n]
		mount, _, e = unix.RawSyscall(unix.SYS_OPEN_TREE, uintptr(l.over), uintptr(unsafe.Pointer(&empty)), clone|l.flags)
		if e == 0 && l.attr.Attr_set != 0 {
			_, _, e = unix.RawSyscall6(unix.SYS_MOUNT_SETATTR, mount, uintptr(unsafe.Pointer(&empty)),
				unix.AT_EMPTY_PATH|l.flags, uintptr(unsafe.Pointer(&l.attr)), unsafe.Sizeof(l.attr), 0)
		}
		if e == 0 {
			_, _, e = unix.RawSyscall6(unix.SYS_MOVE_MOUNT, mount, uintptr(unsafe.Pointer(&empty)),
				uintptr(l.entry), uintptr(unsafe.Pointer(&empty)), move, 0)
		}
		if e == unix.ENOENT { // the entry was removed meanwhile
			e = 0
		}
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(e), 0, 0)
	}
}
