package terminal

import (
	"io"
	"sync/atomic"
)

// Cap bounds how many bytes several writers may pass on together, such as a
// program's stdout and stderr. It may be used by many goroutines.
type Cap struct {
	max      int64
	exceeded func()
	asked    atomic.Int64
	over     atomic.Bool
}

// NewCap returns a cap of max bytes. exceeded is called once, in a goroutine of
// its own, when more is written; it may be nil.
func NewCap(max int64, exceeded func()) *Cap { return &Cap{max: max, exceeded: exceeded} }

// Limit returns a writer to w under the cap. What lies beyond the cap is
// swallowed without an error: the program is to be ended by exceeded, and
// until then must not block whoever reads from it.
func (c *Cap) Limit(w io.Writer) io.Writer { return limited{c, w} }

// Written is how many bytes have been let through so far.
func (c *Cap) Written() int64 { return min(c.asked.Load(), max(c.max, 0)) }

type limited struct {
	cap *Cap
	w   io.Writer
}

func (l limited) Write(p []byte) (int, error) {
	after := l.cap.asked.Add(int64(len(p)))
	room := l.cap.max - (after - int64(len(p)))
	if room >= int64(len(p)) {
		return l.w.Write(p)
	}
	if !l.cap.over.Swap(true) && l.cap.exceeded != nil {
		go l.cap.exceeded()
	}
	if room > 0 {
		if _, err := l.w.Write(p[:room]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
