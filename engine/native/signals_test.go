package native

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
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

// TestInitHearsNothing: an init that takes no messages any more, as one that was taken
// over may, does not outlive its time.
func TestInitHearsNothing(t *testing.T) {
	p := planOf(t, "sleep", "600")
	p.Limits.Time = time.Second
	p.Digest = compile.Digest(p)
	e, _ := newEngine(t)
	box, err := e.Start(context.Background(), p, nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(box.(interface{ PID() int }).PID(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	full := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = box.Signal(int(unix.SIGWINCH))
		}
		full <- err
	}()
	ended := make(chan error, 1)
	go func() {
		exit, err := box.Wait()
		if exit.Reason != "timeout" {
			t.Errorf("%+v", exit)
		}
		ended <- err
	}()
	for _, c := range []chan error{full, ended} {
		select {
		case err := <-c:
			t.Log(err)
		case <-time.After(time.Minute):
			t.Fatal("still telling an init that hears nothing")
		}
	}
}
