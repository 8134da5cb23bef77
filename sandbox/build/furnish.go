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

// spot makes a folder or an empty file of the new root where it is missing, and
// opens it. An image may have put a symbolic link in the way: opening refuses
// it, since what we mount must be where we say it is.
func spot(name string, dir bool) (int, error) {
	folder := path.Dir(name)
	if dir {
		folder = name
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return -1, err
	}
	if !dir {
		if err := unix.Mknod(name, unix.S_IFREG|0o444, 0); err != nil && err != unix.EEXIST {
			return -1, err
		}
	}
	return openBeneathRoot(name)
}

// place hangs a mount on a path, making the folder or file to hang it on.
func place(mount int, name string, dir bool) error {
	at, err := spot(name, dir)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return attachAt(mount, at)
}

// write makes a file; that of an image is replaced.
func write(f blueprint.File) error {
	if err := os.MkdirAll(path.Dir(f.Path), 0o755); err != nil {
		return err
	}
	if err := unix.Unlink(f.Path); err == unix.EISDIR {
		_ = unix.Rmdir(f.Path)
	}
	fd, err := unix.Open(f.Path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, f.Mode)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	text := append(f.Binary, f.Content...)
	n, err := unix.Write(fd, text)
	if err == nil && n < len(text) {
		err = unix.ENOSPC
	}
	return err
}

// furnish makes the plain folders, links and files.
func (b *builder) furnish() error {
	for _, dir := range b.spec.Dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, f := range b.spec.Files {
		if err := write(f); err != nil {
			return err
		}
	}
	return links(b.spec.Links)
}

// links makes symbolic links; where an image brought its own, that stays.
func links(list []blueprint.Link) error {
	for _, l := range list {
		if err := os.MkdirAll(path.Dir(l.Path), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(l.Target, l.Path); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func size(p blueprint.Private) string { return fmt.Sprintf("size=%d nr_inodes=%d", p.Size, p.Inodes) }

// private makes all private writable places out of one sized file system, so
// that one limit holds for their sum.
func (b *builder) private() error {
	p := b.spec.Private
	fs, err := newFS("tmpfs", sealed, "mode=0700 "+size(p))
	if err != nil {
		return fmt.Errorf("tmpfs of %d bytes: %w", p.Size, err)
	}
	defer unix.Close(fs)
	// Clones come only from attached mounts on kernels before 6.15.
	if err := place(fs, privatePlace, true); err != nil {
		return err
	}
	for i, pl := range p.Places {
		if err := privatePart(fs, strconv.Itoa(i), pl); err != nil {
			return fmt.Errorf("%s: %w", pl.Path, err)
		}
	}
	return unhang(privatePlace)
}

// unhang takes scaffolding away.
func unhang(name string) error {
	if err := unix.Unmount(name, unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Rmdir(name)
}

const privatePlace = "/.nacre-private"

func privatePart(fs int, name string, pl blueprint.Place) error {
	at, err := spot(pl.Path, true)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return inOrder(
		step{"make", func() error { return unix.Mkdirat(fs, name, 0o700) }},
		step{"mode", func() error { return unix.Fchmodat(fs, name, pl.Mode, 0) }}, // past the umask
		step{"hang", func() error { return graft(fs, name, 0, 0, at) }},
	)
}

// maxTerminals bounds what one sandbox takes of a number that all sandboxes and
// containers of a machine share (kernel.pty.max less kernel.pty.reserve: 3072).
const maxTerminals = "128"

// devices makes a fresh /dev; its nodes are trees of the host's.
func (b *builder) devices() error {
	for _, fs := range []struct {
		kind, place, options string
		attr                 int
	}{
		{"tmpfs", "/dev", "mode=0755 size=65536 nr_inodes=64", sealed | unix.MOUNT_ATTR_NOEXEC},
		{"devpts", "/dev/pts", "newinstance ptmxmode=0666 mode=0620 max=" + maxTerminals, unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC},
	} {
		mount, err := newFS(fs.kind, fs.attr, fs.options)
		if err != nil {
			return fmt.Errorf("%s: %w", fs.kind, err)
		}
		defer unix.Close(mount)
		if err := place(mount, fs.place, true); err != nil {
			return err
		}
	}
	// Open by mode and mount, but by no Landlock rule: what the confined process
	// finds here proves that Landlock is on. A read-only mount leaves pipes alone.
	if err := unix.Mknod(blueprint.LandlockProbe, unix.S_IFIFO|0o600, 0); err != nil {
		return err
	}
	return links([]blueprint.Link{
		{Path: "/dev/ptmx", Target: "pts/ptmx"},
		{Path: "/dev/fd", Target: "/proc/self/fd"},
		{Path: "/dev/stdin", Target: "/proc/self/fd/0"},
		{Path: "/dev/stdout", Target: "/proc/self/fd/1"},
		{Path: "/dev/stderr", Target: "/proc/self/fd/2"},
	})
}

// placeTrees hangs the host's folders where the plan says, and masks what is
// blocked in them.
func (b *builder) placeTrees() error {
	for i, t := range b.spec.Trees {
		if i == 0 && b.spec.Overlay {
			continue // the lower layer of the root
		}
		mount := b.trees[i]
		if err := place(mount, t.Inside, t.Dir); err != nil {
			return fmt.Errorf("%s at %s: %w", t.Host, t.Inside, err)
		}
		for _, g := range t.Guards {
			if err := guard(mount, g); err != nil {
				return fmt.Errorf("guard %s in %s: %w", g.Path, t.Host, err)
			}
		}
		for _, name := range t.Masks {
			if err := b.maskBeneath(mount, name); err != nil {
				return fmt.Errorf("mask %s in %s: %w", name, t.Host, err)
			}
		}
	}
	return nil
}

// guard lays an entry over itself, as a mount that cannot be renamed.
func guard(mount int, g blueprint.Guard) error {
	entry, err := entryOf(mount, g.Path)
	if err != nil {
		return err
	}
	defer unix.Close(entry)
	attr := uint64(0)
	if g.ReadOnly {
		attr = unix.MOUNT_ATTR_RDONLY
	}
	return graft(entry, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr, entry)
}

// entryOf opens an entry that was found while the folder was scanned.
func entryOf(mount int, name string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: closed}
	entry, err := unix.Openat2(mount, name, &how)
	if err != nil {
		return -1, fmt.Errorf("the folder changed while it was read: %w", err)
	}
	return entry, nil
}

func (b *builder) maskBeneath(mount int, name string) error {
	entry, err := entryOf(mount, name)
	if err != nil {
		return err
	}
	defer unix.Close(entry)
	return b.mask(entry)
}

// sealRoot takes away the scaffolding and makes what is left read-only.
func (b *builder) sealRoot() error {
	steps := []step{
		{"scaffolding", func() error { return unhang(blankPlace) }},
		{"/dev read-only", func() error { return readOnly("/dev") }},
	}
	if !b.spec.Overlay {
		steps = append(steps, step{"/ read-only", func() error { return readOnly("/") }})
	}
	return inOrder(steps...)
}

func readOnly(place string) error {
	return unix.MountSetattr(unix.AT_FDCWD, place, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}
