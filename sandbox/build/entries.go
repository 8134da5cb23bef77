package build

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// collect makes the mounts of what is the host's, or the kernel's, while the
// host's tree is still in sight. The kernel makes a new /proc only while an
// unobscured one is (mount_too_revealing).
func (b *builder) collect() (err error) {
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if b.self, err = clone(unix.AT_FDCWD, "/proc/self/exe", 0, sealed|unix.MOUNT_ATTR_RDONLY); err != nil {
		return fmt.Errorf("nacre-init: %w", err)
	}
	b.mounts = make([]int, len(b.spec.Entries))
	for i, e := range b.spec.Entries {
		switch e.Form {
		case blueprint.Tree:
			b.mounts[i], err = detach(e)
		case blueprint.System:
			b.mounts[i], err = newFS(e.Host, attr(e)&^unix.MOUNT_ATTR_RDONLY, string(e.Text))
			if e.Host == "proc" && errors.Is(err, unix.EPERM) {
				err = errors.New("not allowed: the host's own /proc is partly covered, as in a container; " +
					"run that container with its system paths unmasked")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Host, err)
		}
	}
	return nil
}

// attr is what the mount of an entry does not honour.
func attr(e blueprint.Entry) (attr int) {
	for bit, set := range map[int]bool{unix.MOUNT_ATTR_NOSUID: true, unix.MOUNT_ATTR_NODEV: !e.Device,
		unix.MOUNT_ATTR_RDONLY: !e.Write, unix.MOUNT_ATTR_NOEXEC: e.NoExec} {
		if set {
			attr |= bit
		}
	}
	return attr
}

// detach makes the mount of a tree.
func detach(e blueprint.Entry) (mount int, err error) {
	if e.Detached {
		return e.FD, setattr(e.FD, attr(e), unix.AT_RECURSIVE)
	}
	fd, err := openBeneathRoot(e.Host, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	if e.FD != 0 {
		if err := sameInode(fd, e.FD); err != nil {
			return -1, err
		}
	}
	return clone(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr(e))
}

// blank names what is laid over a file, and over a folder, that nobody may read:
// read-only, so that even its owner cannot change its mode.
var blank = map[bool]string{false: "file", true: "folder"}

// furnish makes and hangs all entries. The file system that private folders and
// masks are parts of hangs at a hidden place meanwhile: kernels before 6.15 clone
// only what is attached.
func (b *builder) furnish() (err error) {
	if b.private, err = newFS("tmpfs", sealed, "mode=0700 "+b.size()); err != nil {
		return fmt.Errorf("tmpfs of %d bytes: %w", b.spec.Disk, err)
	}
	err = inOrder(
		step{"private places", func() error { return hang(b.private, privatePlace) }},
		step{"mask of a file", func() error { return unix.Mknodat(b.private, blank[false], unix.S_IFREG, 0) }},
		step{"mask of a folder", func() error { return unix.Mkdirat(b.private, blank[true], 0) }},
	)
	if err != nil {
		return err
	}
	for i, e := range b.spec.Entries {
		if e.Path == "" {
			continue // the lower layer of the root
		}
		if err := b.put(i, e); err != nil {
			return fmt.Errorf("%s at %s: %w", e.Form, e.Path, err)
		}
	}
	return inOrder(
		step{"private places", func() error { return unix.Unmount(privatePlace, unix.MNT_DETACH) }},
		step{"private places", func() error { return unix.Rmdir(privatePlace) }},
		// Open by mode and mount, but by no Landlock rule: what the confined process
		// finds here proves that Landlock is on. A read-only mount leaves pipes alone.
		step{"probe", func() error { return unix.Mknod(blueprint.LandlockProbe, unix.S_IFIFO|0o600, 0) }},
	)
}

// put makes or hangs one entry.
func (b *builder) put(i int, e blueprint.Entry) error {
	if e.Over() {
		return b.lay(e)
	}
	dir, err := folder(path.Dir(e.Path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	switch e.Form {
	case blueprint.File:
		return write(dir, e)
	case blueprint.Link:
		if err := unix.Symlinkat(string(e.Text), dir, path.Base(e.Path)); err != unix.EEXIST {
			return err
		}
		return nil // an image brought its own
	}
	at, err := spot(dir, e)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	switch e.Form {
	case blueprint.Folder:
		return nil
	case blueprint.Private:
		return b.part(strconv.Itoa(i), e, at)
	case blueprint.System, blueprint.Tree:
		return attach(b.mounts[i], at)
	}
	return errors.New("no such form")
}

// folder opens a folder, and makes it where it is missing. An image may have put a
// symbolic link in the way: none is followed, since what we make must be where we
// say it is. By way of our own descriptors in /proc it could be the host's.
func folder(name string) (int, error) {
	if fd, err := openBeneathRoot(name, 0); err != unix.ENOENT {
		return fd, err
	}
	parent, err := folder(path.Dir(name))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, path.Base(name), 0o755); err != nil {
		return -1, err
	}
	return openBeneathRoot(name, 0)
}

// spot opens what an entry is to be hung on, and makes it in its folder where it
// is missing.
func spot(dir int, e blueprint.Entry) (int, error) {
	if e.Dir || e.Form != blueprint.Tree {
		return folder(e.Path)
	}
	if err := unix.Mknodat(dir, path.Base(e.Path), unix.S_IFREG|0o444, 0); err != nil && err != unix.EEXIST {
		return -1, err
	}
	return openBeneathRoot(e.Path, 0)
}

// write makes a file in a folder; that of an image is replaced.
func write(dir int, e blueprint.Entry) error {
	name := path.Base(e.Path)
	if err := unix.Unlinkat(dir, name, 0); err == unix.EISDIR {
		_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	}
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, e.Mode)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	_, err = file.Write(e.Text)
	return errors.Join(err, file.Close())
}

// lay lays an entry over what was found there before.
func (b *builder) lay(e blueprint.Entry) error {
	at, err := openBeneathRoot(e.Path, unix.O_NOFOLLOW)
	if e.Optional && errors.Is(err, unix.ENOENT) {
		return nil // what a kernel or a system does not have
	}
	if err != nil {
		return fmt.Errorf("the folder changed while it was read: %w", err)
	}
	defer unix.Close(at)
	switch e.Form {
	case blueprint.Cover:
		return cover(e, at)
	case blueprint.Guard:
		return graft(at, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, map[bool]int{false: unix.MOUNT_ATTR_RDONLY}[e.Write], at)
	}
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return err
	}
	return graft(b.private, blank[st.Mode&unix.S_IFMT == unix.S_IFDIR], 0, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOEXEC, at)
}

// cover lays a new file, which has no name any more, over an open one.
func cover(e blueprint.Entry, at int) error {
	const temp = "/.nacre-cover"
	return inOrder(
		step{"write", func() error { return write(unix.AT_FDCWD, blueprint.Entry{Path: temp, Text: e.Text, Mode: e.Mode}) }},
		step{"hang", func() error { return graft(unix.AT_FDCWD, temp, 0, attr(e), at) }},
		step{"remove", func() error { return unix.Unlink(temp) }},
	)
}

// part makes a private folder: a part of the one sized file system, so that one
// limit holds for their sum.
func (b *builder) part(name string, e blueprint.Entry, at int) error {
	return inOrder(
		step{"make", func() error { return unix.Mkdirat(b.private, name, 0o700) }},
		step{"mode", func() error { return unix.Fchmodat(b.private, name, e.Mode, 0) }}, // past the umask
		step{"hang", func() error { return graft(b.private, name, 0, 0, at) }},
	)
}
