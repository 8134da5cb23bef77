package idle

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestSettle: after it garbage is collected only when there is much of it, and the limit
// follows what lives, so that a process that grows does not collect all the time.
func TestSettle(t *testing.T) {
	if os.Getenv("NACRE_SETTLES") == "" { // it is for the rest of a process's life
		self := exec.Command(os.Args[0], "-test.run=^TestSettle$")
		self.Env = append(os.Environ(), "NACRE_SETTLES=1")
		if out, err := self.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	Settle()
	if debug.SetGCPercent(-1) != -1 {
		t.Error("the runtime collects by its own measure")
	}
	before := collections()
	for range 4 * room >> 16 {
		sink = make([]byte, 1<<16)
	}
	if collections() == before {
		t.Error("of much garbage none was collected")
	}

	grown := make([]byte, 4*room)
	for start := time.Now(); debug.SetMemoryLimit(-1) < 2*int64(len(grown)); runtime.GC() {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d live, and the limit is %d", len(grown), debug.SetMemoryLimit(-1))
		}
	}
	before = collections()
	for range room >> 16 {
		sink = make([]byte, 1<<16)
	}
	if n := collections() - before; n > 2 {
		t.Errorf("%d collections of little garbage", n)
	}
	runtime.KeepAlive(grown)
}

var sink []byte

func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}
