package build

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
	"nacre/sandbox/layer"
)

// What Landlock lets a path be used for (landlock(7)).
const (
	look = unix.LANDLOCK_ACCESS_FS_READ_DIR
	read = look | unix.LANDLOCK_ACCESS_FS_READ_FILE
	use  = read | unix.LANDLOCK_ACCESS_FS_EXECUTE
	// change leaves out device nodes, and ioctl on devices.
	change = use | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	device = look | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// prepareLandlock makes the ruleset while files can still be opened freely.
func (b *builder) prepareLandlock() (err error) {
	if b.spec.Landlock == 0 {
		return nil
	}
	attr := layer.Handled(b.spec.Landlock)
	if b.spec.Loopback {
		attr.Handled_access_net = 0
	}
	if b.ruleset, err = layer.Ruleset(attr); err != nil {
		return fmt.Errorf("ruleset: %w", err)
	}
	if err := b.landlockRules(attr.Handled_access_fs); err != nil || attr.Scoped == 0 {
		return err
	}
	return bait()
}

// bait leaves a socket behind for the reaper, to be refused by Landlock.
func bait() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	return errors.Join(err, unix.Bind(fd, &unix.SockaddrUnix{Name: blueprint.LandlockSocket}), unix.Dup3(fd, blueprint.SpecFD, 0))
}

func (b *builder) landlockRules(can uint64) error {
	rules := map[string]uint64{"/": look}
	if b.spec.Overlay { // not /proc and /dev, which have their own
		folders, err := os.ReadDir("/")
		if err != nil {
			return err
		}
		for _, f := range folders {
			if f.IsDir() && f.Name() != "proc" && f.Name() != "dev" {
				rules["/"+f.Name()] |= change
			}
		}
	}
	for _, e := range b.spec.Entries {
		if (e.Mounted() || e.Form == blueprint.File) && !e.Closed {
			rules[e.Path] |= rights(e)
		}
	}
	for path, access := range rules {
		if err := b.allow(path, access&can); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return layer.Allow(b.ruleset, b.self, unix.LANDLOCK_ACCESS_FS_EXECUTE|unix.LANDLOCK_ACCESS_FS_READ_FILE)
}

// rights are what Landlock lets an entry be used for.
func rights(e blueprint.Entry) uint64 {
	switch {
	case e.Device:
		return device
	case e.Write:
		return change
	case e.NoExec:
		return read
	}
	return use
}

func (b *builder) allow(path string, access uint64) error {
	fd, err := openBeneathRoot(path, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return layer.Allow(b.ruleset, fd, access)
}

func (b *builder) enforceLandlock() error {
	if b.spec.Landlock == 0 {
		return nil
	}
	return raw(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(b.ruleset), 0, 0)()
}
