package launch

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// unstarted says why a gateway did not start. It may execute nothing but itself: one
// that was built with CGO on is not executed by the kernel but by a loader.
func unstarted(program string, err error) error {
	if errors.Is(err, unix.EACCES) && interpreted(program) {
		return fault.New(fault.Unsupported, "the gateway cannot be started: %s is linked dynamically, and may load nothing", program).
			WithHint("build it with CGO_ENABLED=0, as make does")
	}
	return fault.Wrap(fault.Unsupported, err, "the gateway cannot be started")
}

// interpreted tells whether a program of this machine's kind names a loader (elf(5)):
// whether one of its headers, which come first, is of type PT_INTERP.
func interpreted(program string) bool {
	const loader = 3
	f, err := os.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head)
	if head = head[:n]; n < 64 || string(head[:4]) != "\x7fELF" {
		return false
	}
	at, size, count := binary.LittleEndian.Uint64(head[32:]), uint64(binary.LittleEndian.Uint16(head[54:])), binary.LittleEndian.Uint16(head[56:])
	for range count {
		if at > uint64(n-4) {
			return false
		}
		if binary.LittleEndian.Uint32(head[at:]) == loader {
			return true
		}
		at += size
	}
	return false
}
