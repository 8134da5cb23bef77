package learn

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// sysOf is what the kernel says of a file.
func sysOf(info fs.FileInfo) (state, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return state{}, false
	}
	return state{st.Ino, unix.Timespec(st.Ctim), unix.Timespec(st.Atim)}, true
}
