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

// collectTrees turns every host folder into a detached mount while the host's
// tree is still in sight.
func (b *builder) collectTrees() error {
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	self, err := unix.OpenTree(unix.AT_FDCWD, "/proc/self/exe", cloneTree)
	if err != nil {
		return fmt.Errorf("nacre-init: %w", err)
	}
	b.self = self
	if err := setattr(self, sealed|unix.MOUNT_ATTR_RDONLY, false); err != nil {
		return fmt.Errorf("nacre-init: %w", err)
	}
	b.trees = make([]int, len(b.spec.Trees))
	for i, t := range b.spec.Trees {
		fd, err := detach(t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Host, err)
		}
		if err := setattr(fd, treeAttr(t), t.Dir); err != nil {
			return fmt.Errorf("%s: mount_setattr: %w", t.Host, err)
		}
		b.trees[i] = fd
	}
	return nil
}

func treeAttr(t blueprint.Tree) uint64 {
	attr := uint64(sealed)
	if t.Device {
		attr = unix.MOUNT_ATTR_NOSUID
	}
	if !t.Write {
		attr |= unix.MOUNT_ATTR_RDONLY
	}
	if t.NoExec {
		attr |= unix.MOUNT_ATTR_NOEXEC
	}
	return attr
}

// detach makes the mount of one tree.
func detach(t blueprint.Tree) (int, error) {
	if t.Detached {
		return t.FD, nil
	}
	fd, err := openBeneathRoot(t.Host)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	if t.FD != 0 {
		if err := sameInode(fd, t.FD); err != nil {
			return -1, err
		}
	}
	flags := uint(cloneTree | unix.AT_EMPTY_PATH)
	if t.Dir {
		flags |= unix.AT_RECURSIVE
	}
	return unix.OpenTree(fd, "", flags)
}

// openBeneathRoot relies on the root being the current folder, from collectTrees
// on.
func openBeneathRoot(path string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: closed}
	return unix.Openat2(unix.AT_FDCWD, "."+path, &how)
}

// sameInode tells whether a path walked again has arrived where the check was
// made. The checked descriptor is still open, so its inode cannot have been
// given to another file.
func sameInode(walked, checked int) error {
	var a, b unix.Stat_t
	if err := unix.Fstat(walked, &a); err != nil {
		return err
	}
	if err := unix.Fstat(checked, &b); err != nil {
		return err
	}
	if a.Dev != b.Dev || a.Ino != b.Ino {
		return errors.New("was replaced by something else after it was checked")
	}
	return nil
}

// setattr also takes a mount out of its peer group: under systemd the host's
// mounts are shared, and what is laid over a shared one appears on the host.
func setattr(fd int, attr uint64, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return unix.MountSetattr(fd, "", flags, &unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE})
}

func configure(fs int, option string) error {
	key, value, ok := strings.Cut(option, "=")
	if !ok {
		return unix.FsconfigSetFlag(fs, option)
	}
	return unix.FsconfigSetString(fs, key, value)
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
		if err := configure(fs, option); err != nil {
			return -1, fmt.Errorf("%s: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
}

// root makes the new root file system and leaves the old one for good.
func (b *builder) root() error {
	base, err := newFS("tmpfs", sealed, "mode=0755 size=4194304 nr_inodes=4096")
	if err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	steps := []step{
		// Any folder will do to hang the new root on: the old tree goes with it.
		{"root", func() error { return enterRoot(base, "/usr") }},
		{"masks", b.blanks},
	}
	if b.spec.Overlay {
		steps = slices.Insert(steps, 1, step{"image", b.overlay})
	}
	return inOrder(steps...)
}

// blanks makes what is laid over whatever nobody may read. They live on a file
// system of their own that is read-only, so that even its owner cannot change
// their mode. It hangs at a hidden place until the root is sealed, because
// kernels before 6.15 clone only what is attached.
func (b *builder) blanks() error {
	fs, err := newFS("tmpfs", sealed|unix.MOUNT_ATTR_NOEXEC, "mode=0700 size=4096 nr_inodes=4")
	if err != nil {
		return err
	}
	b.blank = fs
	return inOrder(
		step{"file", func() error { return unix.Mknodat(fs, "file", unix.S_IFREG, 0) }},
		step{"folder", func() error { return unix.Mkdirat(fs, "folder", 0) }},
		step{"read-only", func() error { return setattr(fs, unix.MOUNT_ATTR_RDONLY, false) }},
		step{"hang", func() error { return place(fs, blankPlace, true) }},
	)
}

// blankPlace is where the blanks hang while the sandbox is built.
const blankPlace = "/.nacre-blank"

// mask lays a blank over an entry, given by its descriptor.
func (b *builder) mask(entry int) error {
	var st unix.Stat_t
	if err := unix.Fstat(entry, &st); err != nil {
		return err
	}
	return graft(b.blank, blankFor(st.Mode), 0, 0, entry)
}

// blankFor is the blank of a kind of entry.
func blankFor(mode uint32) string {
	if mode&unix.S_IFMT == unix.S_IFDIR {
		return "folder"
	}
	return "file"
}

// overlay makes an image the root: its folder below, a private layer above.
func (b *builder) overlay() error {
	upper, err := newFS("tmpfs", sealed, "mode=0755 "+size(b.spec.Private))
	if err != nil {
		return err
	}
	err = inOrder(
		step{"image", func() error { return place(b.trees[0], "/lower", true) }},
		step{"layer", func() error { return place(upper, "/layer", true) }},
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

// graft hangs a clone of a mount, or of what name is in it, on an open folder or
// file. The flags are those of open_tree(2).
func graft(from int, name string, flags uint, attr uint64, at int) error {
	mount, err := unix.OpenTree(from, name, cloneTree|flags)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	// A clone has the attributes of what was cloned, and no peers if that had none.
	if recursive := flags&unix.AT_RECURSIVE != 0; recursive || attr != 0 {
		if err := setattr(mount, attr, recursive); err != nil {
			return err
		}
	}
	return attachAt(mount, at)
}

// attachAt hangs a mount on an open folder or file.
func attachAt(mount, at int) error {
	return unix.MoveMount(mount, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}
