package sandbox

import (
	"fmt"
	"os"
)

// TimeNamespaces tells whether a sandbox can have a clock of its own. Before
// Linux 6.3 only children are born into the namespace, not what follows an
// execve, and until then init can make no thread.
func TimeNamespaces() bool {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	_, err := os.Lstat("/proc/self/ns/time")
	return err == nil && reaches(string(release), 6, 3)
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
