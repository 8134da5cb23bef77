//go:build nacrefault

package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

func cloneFlags() uint64 {
	missing := map[string]uint64{
		"namespace user": unix.CLONE_NEWUSER, "namespace mnt": unix.CLONE_NEWNS, "namespace pid": unix.CLONE_NEWPID,
		"namespace net": unix.CLONE_NEWNET, "namespace ipc": unix.CLONE_NEWIPC, "namespace uts": unix.CLONE_NEWUTS,
	}
	return namespaces &^ missing[os.Getenv("NACREFAULT")]
}
