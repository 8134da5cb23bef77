// Package idle has a process that stays for long take little memory.
package idle

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// room is how much a process may hold, beyond twice what lives in it, before garbage is
// collected.
const room = 16 << 20

// Settle gives back what starting took, and has garbage collected only when there is
// much of it. The runtime would collect every two minutes; with each of the first few it
// takes new pages for its own lists, half a MiB in the end.
func Settle() {
	debug.FreeOSMemory()
	debug.SetMemoryLimit(room)
	debug.SetGCPercent(-1)
	follow()
}

// follow has the limit follow what lives, after each collection: with a limit below that,
// the runtime would never stop collecting.
func follow() {
	type sentinel struct{ _ *byte }
	runtime.AddCleanup(&sentinel{}, func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		debug.SetMemoryLimit(2*int64(live[0].Value.Uint64()) + room)
		follow()
	}, struct{}{})
}
