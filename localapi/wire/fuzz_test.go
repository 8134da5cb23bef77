package wire

import (
	"encoding/json"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/localapi/api"
)

// FuzzReceive: packets of anybody who can open the socket, with descriptors or
// without. None is left open, and only a whole request is taken.
func FuzzReceive(f *testing.F) {
	for _, text := range []string{`{"op":"exec","command":["sh"],"size":{}}`, `{"op":"stop","grace":-1}`, `{"op":"signal","number":99999999999999999999}`,
		`{"unknown":1}`, `{"op":"usage"}{"op":"stop"}`, "null", "\x00", ""} {
		f.Add([]byte(text), uint8(len(text)%5))
	}
	f.Fuzz(func(t *testing.T, b []byte, descriptors uint8) {
		if len(b) > 2*maxPacket {
			return
		}
		here, there := pair(t)
		defer here.Close()
		defer there.Close()
		before := open(t)
		var oob []byte
		if n := descriptors % 6; n > 0 {
			oob = unix.UnixRights([]int{0, 1, 2, 0, 1, 2}[:n]...)
		}
		if err := there.SetWriteBuffer(4 * maxPacket); err != nil {
			t.Fatal(err)
		}
		if _, _, err := there.WriteMsgUnix(b, oob, nil); err != nil {
			return
		}
		there.Close()
		var r api.Request
		fds, err := Receive(here, &r)
		if err != nil && len(fds) > 0 || len(fds) > maxFDs {
			t.Errorf("%d descriptors with %v", len(fds), err)
		}
		Close(fds)
		if after := open(t); after > before-1 { // there is closed
			t.Errorf("%d descriptors are open, before it were %d", after, before-1)
		}
		if err == nil && (len(b) > maxPacket || !json.Valid(b[:1]) && b[0] != '{' && b[0] != ' ' && b[0] != '\n' && b[0] != '\t' && b[0] != '\r' && b[0] != 'n') {
			t.Errorf("%.80q was taken for %+v", b, r)
		}
	})
}

func pair(t *testing.T) (here, there *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// open counts this process's descriptors.
func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
