package cli

import (
	"runtime"
	"runtime/debug"
)

// room is how much memory a process that stays may hold before it collects garbage, or
// may take beyond what it holds then.
const roomToRest = 16 << 20

// rest gives back what starting took, and has no more collections until there is much
// to collect. The runtime would have one every two minutes, and the first few take half
// a MiB that they never give back.
func rest() {
	debug.FreeOSMemory()
	debug.SetMemoryLimit(roomToRest)
	debug.SetGCPercent(-1)
	raise()
}

// raise raises the limit after each collection that left much: below what is in use it
// would have the collector run all the time.
func raise() {
	type sentinel struct{ _ *sentinel }
	runtime.AddCleanup(&sentinel{}, func(struct{}) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		debug.SetMemoryLimit(int64(m.Sys-m.HeapReleased) + roomToRest)
		raise()
	}, struct{}{})
}
