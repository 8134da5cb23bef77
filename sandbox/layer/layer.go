// Package layer is what a process lays over itself for good: Landlock's rules and
// a filter of system calls. It is for the thread that calls, unless a flag says
// otherwise, and takes no other: whoever needs that locks theirs.
package layer

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LandlockABI is the version of Landlock that the kernel has; an error where it
// has none, or it is switched off.
func LandlockABI() (int, error) {
	return result(unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION))
}

// Handled is all that a ruleset can restrict at an ABI. To what is done with files
// each of the first five adds its rights behind those before: none does the fourth.
func Handled(abi int) (attr unix.LandlockRulesetAttr) {
	attr.Handled_access_fs = 1<<[]int{0, 13, 14, 15, 15, 16}[min(abi, 5)] - 1
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// Ruleset makes one that allows nothing of what it handles. A kernel that does not
// know some of it refuses; what an older one has no words for is zero, which it
// takes. The descriptor is close-on-exec.
func Ruleset(attr unix.LandlockRulesetAttr) (int, error) {
	return result(unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0))
}

// onFiles is what can be allowed of something that is no folder.
const onFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
	unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

// Allow adds to a ruleset what may be done with what a descriptor leads to, and
// beneath it; of something that is no folder only what can be.
func Allow(ruleset, fd int, access uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= onFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, err := result(unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0))
	return err
}

// Filter loads an assembled filter, and returns what seccomp(2) does for the flags.
func Filter(code []byte, flags uintptr) (int, error) {
	const instruction = 8 // sizeof(struct sock_filter)
	if len(code) == 0 || len(code)%instruction != 0 {
		return -1, fmt.Errorf("filter of %d bytes", len(code))
	}
	prog := unix.SockFprog{Len: uint16(len(code) / instruction), Filter: (*unix.SockFilter)(unsafe.Pointer(&code[0]))}
	return result(unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog))))
}

// result is a raw system call's.
func result(n, _ uintptr, e unix.Errno) (int, error) {
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
