package main

import (
	"os"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// int80 enters the kernel as a 32-bit program does.
func int80(number uint32) int32

func ia32(*wire.Config, *probe) outcome {
	const getpid32 = 20
	r := int80(getpid32)
	if r == int32(os.Getpid()) {
		return escaped("the 32-bit entry answers: a 64-bit filter would not see these calls")
	}
	return contained("answer %d", r)
}

func x32(*wire.Config, *probe) outcome {
	var d doors
	const x32Bit = 0x40000000
	_, err := call(x32Bit | unix.SYS_GETPID)
	d.tried("getpid", err)
	_, err = call(x32Bit|520, 0, 0, 0) // x32 execve, of nothing
	d.tried("execve", err, unix.EFAULT)
	return d.outcome()
}
