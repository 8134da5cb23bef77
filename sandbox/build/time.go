package build

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// newTime starts the sandbox's uptime at zero, where the kernel can: that of
// the host identifies it. Before Linux 6.3 only children are born into the
// namespace, not what follows an execve, and until then no thread can be made:
// there the host's uptime stays visible.
func newTime() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	if !reaches(unix.ByteSliceToString(u.Release[:]), 6, 3) {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return nil // a kernel without time namespaces; nothing else relies on them
	}
	var offsets string
	for name, clock := range map[string]int32{"monotonic": unix.CLOCK_MONOTONIC, "boottime": unix.CLOCK_BOOTTIME} {
		var now unix.Timespec
		if err := unix.ClockGettime(clock, &now); err != nil {
			return err
		}
		offsets += fmt.Sprintf("%s -%d 0\n", name, now.Sec)
	}
	return os.WriteFile("/proc/self/timens_offsets", []byte(offsets), 0)
}

// reaches tells whether a kernel's release is a version or newer. What cannot
// be read is old.
func reaches(release string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}
