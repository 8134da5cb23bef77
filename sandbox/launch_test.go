package sandbox

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// TestLaunchFault: what a machine without user namespaces answers becomes a
// reason and a remedy.
func TestLaunchFault(t *testing.T) {
	for errno, want := range map[syscall.Errno][2]string{
		unix.ENOSPC: {"switched off", "max_user_namespaces"},
		unix.EPERM:  {"closed to plain users", "unprivileged_userns_clone"},
		unix.EINVAL: {"no user namespaces", "CONFIG_USER_NS"},
		unix.ENOENT: {"cannot start", "doctor"},
	} {
		err := launchFault(&exec.Error{Name: "nacre-init", Err: errno})
		if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), want[0]) || !strings.Contains(fault.HintOf(err), want[1]) {
			t.Errorf("%v: %v; hint: %s", errno, err, fault.HintOf(err))
		}
	}
}
