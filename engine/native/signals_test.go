package native

import (
	"strings"
	"testing"
)

// TestSignalsToInit: an agent that sends its init every signal that a Go program
// would handle, and those that nothing can, ends nothing; no job inherits what
// init does about it.
func TestSignalsToInit(t *testing.T) {
	exit, out := runPlan(t, planOf(t, "sh", "-c",
		"for s in 1 2 3 5 6 9 10 12 13 14 15 19 20 21 22 24 25 26 27 28 29 30 31; do kill -$s 1; done; sleep 0.1; echo alive; grep -E 'Sig(Ign|Blk)' /proc/self/status"))
	if want := "alive\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"; exit.Code != 0 || !strings.HasSuffix(out, want) {
		t.Errorf("%+v: %s", exit, out)
	}
}
