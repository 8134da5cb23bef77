package assistant

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// pair is a line with two ends, of which one is given to a program.
func pair(t *testing.T) (ours net.Conn, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine := os.NewFile(uintptr(fds[0]), "ours")
	defer mine.Close()
	if ours, err = net.FileConn(mine); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return ours, os.NewFile(uintptr(fds[1]), "theirs")
}
