package build

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

const (
	cloneTree = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	closed    = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	sealed    = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
)

// privatePlace is where scaffolding hangs while the sandbox is built.
const privatePlace = "/.nacre-private"

// openBeneathRoot relies on the root being the current folder, from collect on. It
// follows no link, and opens one only if it is told to with O_NOFOLLOW.
func openBeneathRoot(path string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: closed}
	return unix.Openat2(unix.AT_FDCWD, "."+path, &how)
}

// sameInode tells whether a path walked again has arrived where the check was
// made. The checked descriptor is still open, so its inode cannot have been
// given to another file.
func sameInode(walked, checked int) error {
	var a, b unix.Stat_t
	err := errors.Join(unix.Fstat(walked, &a), unix.Fstat(checked, &b))
	if err == nil && (a.Dev != b.Dev || a.Ino != b.Ino) {
		err = errors.New("was replaced by something else after it was checked")
	}
	return err
}

// setattr also takes a mount out of its peer group: under systemd the host's
// mounts are shared, and what is laid over a shared one appears on the host.
// With AT_RECURSIVE it is of those below, too.
func setattr(fd, attr int, flags uint) error {
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|flags, &unix.MountAttr{Attr_set: uint64(attr), Propagation: unix.MS_PRIVATE})
}

// newFS makes a detached mount of a new file system. Options are separated by
// spaces; one without a value is a flag.
func newFS(kind string, attr int, options string) (int, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	for option := range strings.FieldsSeq(options) {
		if key, value, ok := strings.Cut(option, "="); ok {
			err = unix.FsconfigSetString(fs, key, value)
		} else {
			err = unix.FsconfigSetFlag(fs, option)
		}
		if err != nil {
			return -1, fmt.Errorf("%s: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
}

// hang hangs a mount on a new folder of our own.
func hang(mount int, place string) error {
	return inOrder(
		step{"make", func() error { return unix.Mkdir(place, 0o700) }},
		step{"hang", func() error { return unix.MoveMount(mount, "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH) }},
	)
}

// attach hangs a mount on an open folder or file.
func attach(mount, at int) error {
	return unix.MoveMount(mount, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// clone makes a detached mount of a mount, or of what name is in it. The flags
// are those of open_tree(2). A clone has the attributes of what was cloned
// too, and no peers.
func clone(from int, name string, flags uint, attr int) (int, error) {
	mount, err := unix.OpenTree(from, name, cloneTree|flags)
	if err == nil {
		err = setattr(mount, attr, flags&unix.AT_RECURSIVE)
	}
	return mount, err
}

// graft hangs a clone on an open folder or file.
func graft(from int, name string, flags uint, attr, at int) error {
	mount, err := clone(from, name, flags, attr)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	return attach(mount, at)
}

// root makes the new root file system and leaves the old one for good.
func (b *builder) root() (err error) {
	if b.base, err = newFS("tmpfs", sealed, "mode=0755 size=4194304 nr_inodes=4096"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	// Any folder will do to hang the new root on: the old tree goes with it.
	if err = enterRoot(b.base, "/usr"); err != nil || !b.spec.Overlay {
		return err
	}
	return b.overlay()
}

// size bounds what can be written: bytes, and a file for each 16 KiB of them, as
// ext4 has, within reason.
func (b *builder) size() string {
	return fmt.Sprintf("size=%d nr_inodes=%d", b.spec.Disk, min(max(b.spec.Disk/16384, 4096), 4_000_000))
}

// overlay makes an image the root: its folder below, a private layer above.
func (b *builder) overlay() error {
	lower := b.mounts[slices.IndexFunc(b.spec.Entries, func(e blueprint.Entry) bool { return e.Path == "" })]
	upper, err := newFS("tmpfs", sealed, "mode=0755 "+b.size())
	if err != nil {
		return err
	}
	err = inOrder(
		step{"image", func() error { return hang(lower, "/lower") }},
		step{"layer", func() error { return hang(upper, "/layer") }},
		step{"upper", func() error { return unix.Mkdir("/layer/upper", 0o755) }},
		step{"work", func() error { return unix.Mkdir("/layer/work", 0o755) }},
		step{"root", func() error { return unix.Mkdir("/root", 0o755) }},
	)
	if err != nil {
		return err
	}
	fs, err := newFS("overlay", sealed, "lowerdir=/lower upperdir=/layer/upper workdir=/layer/work userxattr")
	if err != nil {
		return fmt.Errorf("overlayfs: %w", err)
	}
	return enterRoot(fs, "/root")
}

// enterRoot hangs a mount on a folder that nothing hostile has made, makes it
// the root and leaves the tree that was there for good.
func enterRoot(mount int, at string) error {
	return inOrder(
		step{"attach", func() error { return unix.MoveMount(mount, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH) }},
		step{"enter", func() error { return unix.Fchdir(mount) }},
		step{"pivot_root", func() error { return unix.PivotRoot(".", ".") }},
		step{"leave the old tree", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
		step{"enter", func() error { return unix.Chdir("/") }},
	)
}

// seal makes read-only what is, from now on.
func (b *builder) seal() error {
	steps := []step{}
	for i, e := range b.spec.Entries {
		if e.Form == blueprint.System && !e.Write {
			steps = append(steps, step{e.Path + " read-only", func() error { return setattr(b.mounts[i], unix.MOUNT_ATTR_RDONLY, 0) }})
		}
	}
	if !b.spec.Overlay {
		steps = append(steps, step{"/ read-only", func() error { return setattr(b.base, unix.MOUNT_ATTR_RDONLY, 0) }})
	}
	return inOrder(steps...)
}
