package seccomp

import (
	"golang.org/x/sys/unix"

	"nacre/seccomp/replay"
)

// data is the kernel's struct seccomp_data.
type data struct {
	number, arch uint32
	args         [6]uint64
}

// run interprets a program as the kernel does.
func run(p []unix.SockFilter, d data) (answer uint32, steps int, err error) {
	return replay.Run(p, replay.Call{Number: d.number, Arch: d.arch, Args: d.args})
}
