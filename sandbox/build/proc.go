package build

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// freshProc makes the private /proc. The kernel allows that only while an
// unobscured one of the host's is still in sight (mount_too_revealing).
func (b *builder) freshProc() error {
	fs, err := newFS("proc", sealed|unix.MOUNT_ATTR_NOEXEC, "")
	if errors.Is(err, unix.EPERM) {
		return errors.New("not allowed: the host's own /proc is partly covered, as in a container; " +
			"run that container with its system paths unmasked")
	}
	b.procfs = fs
	return err
}

// proc hangs it, forbids further user namespaces and trims it.
func (b *builder) proc() error {
	fs := b.procfs
	defer unix.Close(fs)
	if err := place(fs, "/proc", true); err != nil {
		return err
	}
	if !b.spec.Nested {
		// Needs the capabilities that are about to be dropped.
		if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
			return err
		}
	}
	if err := boundWatchers(); err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	if err := b.trimProc(fs); err != nil || !b.spec.Proc.ReadOnly {
		return err
	}
	return setattr(fs, unix.MOUNT_ATTR_RDONLY, false)
}

// boundWatchers leaves the owner most of the inotify instances and watches. They
// are counted for whoever made the user namespace too, so that a sandbox without
// a bound of its own could use up those of the owner's session, or of root's
// services.
func boundWatchers() error {
	for _, kind := range []string{"instances", "watches"} {
		b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_" + kind)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without inotify
		}
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return err
		}
		share := strconv.Itoa(n / 4)
		if err := os.WriteFile("/proc/sys/user/max_inotify_"+kind, []byte(share), 0); err != nil {
			return err
		}
	}
	return nil
}

// trimProc lays blanks and synthetic files over what tells of the host. What a
// kernel does not have needs no mask.
func (b *builder) trimProc(proc int) error {
	for _, name := range b.spec.Proc.Masks {
		err := b.maskProc(proc, name)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, f := range b.spec.Proc.Synthetic {
		if err := b.replace(proc, f); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}

// maskProc lays a blank over what has a name in /proc. Nobody but the kernel
// makes names there, so that none has to be opened first.
func (b *builder) maskProc(proc int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(proc, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	mount, err := unix.OpenTree(b.blank, blankFor(st.Mode), cloneTree)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	return unix.MoveMount(mount, "", proc, name, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// replace lays a file of the root over a file of proc.
func (b *builder) replace(proc int, f blueprint.File) error {
	at, err := entryOf(proc, f.Path)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	temp := blueprint.File{Path: "/.nacre-" + strings.ReplaceAll(f.Path, "/", "-"), Content: f.Content, Mode: f.Mode}
	attr := uint64(sealed | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC)
	return inOrder(
		step{"write", func() error { return write(temp) }},
		step{"hang", func() error { return graft(unix.AT_FDCWD, temp.Path, 0, attr, at) }},
		step{"remove", func() error { return unix.Unlink(temp.Path) }},
	)
}
