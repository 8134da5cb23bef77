// Command nacre-init is the first process of a sandbox. It is not for people:
// the supervisor starts it inside fresh namespaces with a blueprint, and it
// builds the sandbox, confines itself and starts the agent. It is a program of
// its own so that what runs inside the boundary can be read whole.
package main

import (
	"os"
	"runtime"

	"nacre/sandbox/build"
	"nacre/sandbox/reap"
)

// init runs on the process's first thread, and keeps main there: packages build
// and reap need it.
func init() { runtime.LockOSThread() }

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "build":
		build.Main([]string{"nacre-init", "reap"})
	case len(os.Args) == 2 && os.Args[1] == "reap":
		os.Exit(reap.Main())
	default:
		_, _ = os.Stderr.WriteString("nacre-init is started by nacre, not by hand; see: nacre run --help\n")
		os.Exit(2)
	}
}
