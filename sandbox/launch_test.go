package sandbox

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// TestInitDiesUnread: an init that ends before it has read its blueprint does not
// keep whoever tells it, however little a pipe holds (pipe(7), pipe-user-pages-soft).
func TestInitDiesUnread(t *testing.T) {
	o := Order{
		Map:  Mapping{Inside: 1000, UID: os.Geteuid(), GID: os.Getegid()},
		Spec: func() ([]byte, error) { return make([]byte, 4<<20), nil },
		Born: func(start func(int) error) error { return start(-1) },
	}
	for _, init := range []string{"/bin/true", "/bin/false"} {
		o.Init = init
		done := make(chan error, 1)
		go func() { _, err := Launch(o); done <- err }()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s was given a blueprint of 4 MiB", init)
			}
			t.Log(err)
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: still told its blueprint", init)
		}
	}
}

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
