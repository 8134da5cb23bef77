package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// inside is a running sandbox's file system, seen and changed from outside.
type inside struct {
	pid   int
	pidfd int
	root  int
}

const noLinks = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// enter takes hold of a sandbox by its first process.
func enter(pid int) (inside, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return inside{}, err
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(pidfd)
		return inside{}, fault.Wrap(fault.Internal, err, "cannot see the sandbox's root")
	}
	return inside{pid, pidfd, root}, nil
}

func (i inside) close() error {
	if i.pid == 0 {
		return nil
	}
	return errors.Join(unix.Close(i.pidfd), unix.Close(i.root))
}

// at opens a path of the sandbox without following a link.
func (i inside) at(name string) (fd int, st unix.Stat_t, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: noLinks}
	if fd, err = unix.Openat2(i.root, strings.TrimPrefix(name, "/"), &how); err == nil {
		err = unix.Fstat(fd, &st)
	}
	return fd, st, err
}

// The blanks that every sandbox has: two of the masks that package build lays
// over files and folders of /proc which every kernel has.
const (
	blankFile   = "/proc/interrupts"
	blankFolder = "/proc/bus"
)

// layer is a blank to be laid over an entry; both are open.
type layer struct{ blank, entry int }

// mask lays blanks over entries beneath a folder of the sandbox, and returns
// which had none yet. It ends when each is seen to be covered, or gone.
func (i inside) mask(folder string, names []string) (laid []string, err error) {
	for range 5 { // while something is replaced again and again
		bare, err := i.cover(folder, names)
		if err != nil || len(bare) == 0 {
			slices.Sort(laid)
			return slices.Compact(laid), err
		}
		laid = append(laid, bare...)
	}
	return nil, fault.New(fault.Conflict, "%q is replaced faster than it can be masked", names[0])
}

// cover lays blanks over what has none, and returns what that was.
func (i inside) cover(folder string, names []string) (bare []string, err error) {
	var layers []layer
	var open []int
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	file, blank, err := i.at(blankFile)
	open = append(open, file)
	dir, blank2, err2 := i.at(blankFolder)
	open = append(open, dir)
	if err := errors.Join(err, err2); err != nil || blank.Mode&0o7777 != 0 || blank2.Dev != blank.Dev {
		return nil, fault.Wrap(fault.Tampered, err, "the sandbox has no blanks")
	}
	for _, name := range names[:min(len(names), most)] {
		fd, st, err := i.at(path.Join(folder, name))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue // moved on: that is another event
		}
		open = append(open, fd)
		switch kind := st.Mode & unix.S_IFMT; {
		case err != nil:
			return nil, err
		case st.Dev == blank.Dev || kind == unix.S_IFLNK:
		case kind == unix.S_IFDIR:
			layers, bare = append(layers, layer{dir, fd}), append(bare, name)
		default:
			layers, bare = append(layers, layer{file, fd}), append(bare, name)
		}
	}
	if len(layers) == 0 {
		return nil, nil
	}
	return bare, i.lay(layers)
}

// lay has a child of ours join the sandbox's user and mount namespaces and lay
// the blanks: what may mount there has to be there, and only a process with a
// single thread can go there (setns(2)).
func (i inside) lay(layers []layer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, old unix.Sigset_t
	for n := range all.Val {
		all.Val[n] = ^all.Val[n]
	}
	// A signal would run Go's handler in a child in which Go does not run.
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return err
	}
	pid, e := fork(i.pidfd, layers)
	err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	if e != 0 {
		return e
	}
	var status unix.WaitStatus
	for {
		_, err2 := unix.Wait4(pid, &status, 0, nil)
		if err2 == unix.EINTR {
			continue
		}
		if err = errors.Join(err, err2); err == nil && status != 0 {
			err = fault.Wrap(fault.Internal, unix.Errno(status.ExitStatus()), "cannot mask inside the running sandbox")
		}
		return err
	}
}

// fork is the child: between clone and exit nothing but system calls on
// descriptors that are open already. Its status is the error number.
//
//go:norace
//go:noinline
func fork(pidfd int, layers []layer) (int, unix.Errno) {
	const (
		spaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
		clone  = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
		move   = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	)
	var empty [1]byte
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		return int(pid), e
	}
	_, _, e = unix.RawSyscall(unix.SYS_SETNS, uintptr(pidfd), spaces, 0)
	for n := 0; n < len(layers) && e == 0; n++ {
		var mount uintptr
		mount, _, e = unix.RawSyscall(unix.SYS_OPEN_TREE, uintptr(layers[n].blank), uintptr(unsafe.Pointer(&empty)), clone)
		if e == 0 {
			_, _, e = unix.RawSyscall6(unix.SYS_MOVE_MOUNT, mount, uintptr(unsafe.Pointer(&empty)),
				uintptr(layers[n].entry), uintptr(unsafe.Pointer(&empty)), move, 0)
		}
		if e == unix.ENOENT { // removed meanwhile
			e = 0
		}
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(e), 0, 0)
	}
}

// holder is a thread that has an entry beneath a folder open, works in it or has
// it in its memory; 0 where there is none. Those of the sandbox's first process,
// which is ours, open nothing there.
func (i inside) holder(threads []int, folder string, names []string) (int, error) {
	for _, id := range threads {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/task/%d", i.pid, id)); err == nil {
			continue
		}
		paths, err := held(fmt.Sprintf("/proc/%d/", id))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended and holds nothing
		}
		if err != nil {
			return id, err
		}
		for _, name := range names {
			entry := path.Join(folder, name)
			if slices.ContainsFunc(paths, func(p string) bool {
				rest, ok := strings.CutPrefix(p, entry)
				return ok && (rest == "" || rest[0] == '/' || rest == " (deleted)")
			}) {
				return id, nil
			}
		}
	}
	return 0, nil
}

// held lists what a thread has open, works in, or has in its memory (proc(5)).
func held(proc string) (paths []string, err error) {
	maps, err := os.ReadFile(proc + "maps")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at >= 0 {
			paths = append(paths, strings.TrimSuffix(line[at:], "\n"))
		}
	}
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		return nil, err
	}
	links := []string{"cwd", "root"}
	for _, f := range files {
		links = append(links, "fd/"+f.Name())
	}
	for _, name := range links {
		to, err := os.Readlink(proc + name)
		if err != nil {
			return nil, err
		}
		paths = append(paths, to)
	}
	return paths, nil
}
