package localapi

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNobodyFromInside: an agent may have its owner's user id outside. From
// another user namespace it is not listened to all the same, nor is a gateway, in
// whose namespace nobody is mapped.
func TestNobodyFromInside(t *testing.T) {
	if path := os.Getenv("NACRE_TEST_SOCKET"); path != "" {
		c, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Read(make([]byte, 1)) // until the other side has looked
		return
	}
	path := filepath.Join(t.TempDir(), "socket")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = l.SetDeadline(time.Now().Add(20 * time.Second)) // should a caller fail to come
	s := &Server{UID: os.Geteuid()}
	for from, mapped := range map[string]bool{"outside": false, "a sandbox": true, "a gateway": false} {
		inside := from != "outside"
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNobodyFromInside$")
		cmd.Env = append(os.Environ(), "NACRE_TEST_SOCKET="+path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		if inside {
			cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		}
		if mapped {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}}
		}
		if err := cmd.Start(); err != nil {
			t.Skipf("needs user namespaces: %v", err)
		}
		c, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		if s.trusted(c) == inside {
			t.Errorf("from %s, trusted %v", from, !inside)
		}
		c.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}
