package build

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
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
	onFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | device&^look
)

// prepareLandlock makes the ruleset while files can still be opened freely.
func (b *builder) prepareLandlock() error {
	if b.spec.Landlock == 0 {
		return nil
	}
	attr := handled(b.spec.Landlock)
	if b.spec.Loopback {
		attr.Handled_access_net = 0
	}
	// A kernel that does not know some of it refuses.
	fd, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return fmt.Errorf("ruleset: %w", e)
	}
	b.ruleset = int(fd)
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

// handled is all that a ruleset can restrict at an ABI. To what is done with files
// each of the first five adds its rights behind those before: none does the fourth.
func handled(abi int) (attr unix.LandlockRulesetAttr) {
	attr.Handled_access_fs = 1<<[]int{0, 13, 14, 15, 15, 16}[min(abi, 5)] - 1
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
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
	return b.addRule(b.self, unix.LANDLOCK_ACCESS_FS_EXECUTE|unix.LANDLOCK_ACCESS_FS_READ_FILE)
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
	fd, err := openBeneathRoot(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return b.addRule(fd, access)
}

func (b *builder) addRule(fd int, access uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= onFiles
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, e := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(b.ruleset),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

func (b *builder) enforceLandlock() error {
	if b.spec.Landlock == 0 {
		return nil
	}
	return raw(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(b.ruleset), 0, 0)()
}
