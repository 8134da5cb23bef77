package denials

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nacre"
)

// log writes a tally's records, which takes its time, while others count.
type log struct {
	recorder nacre.Recorder
	like     nacre.Event
	sums     func() []Denial
	fresh    chan *nacre.Event // first ones: has room for all that there can be
	since    atomic.Uint64     // counted since the last record of sums, but for first ones
	begin    sync.Once
	done     chan struct{}
	result   chan error
}

func newLog(recorder nacre.Recorder, like nacre.Event, sums func() []Denial) *log {
	return &log{recorder: recorder, like: like, sums: sums, fresh: make(chan *nacre.Event, maxPairs),
		done: make(chan struct{}), result: make(chan error, 1)}
}

// first has the first call of a pair recorded.
func (l *log) first(d nacre.Decision, program string) {
	e := l.like
	e.Kind, e.Decision, e.Rule, e.Reason = "syscall.denied", nacre.Deny, d.Rule, d.Subject+", by "+program+": "+d.Reason
	e.Detail = map[string]string{"call": d.Subject, "program": program}
	if d.Remedy != "" {
		e.Detail["remedy"] = d.Remedy
	}
	l.fresh <- &e
	l.begin.Do(func() {
		go func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			l.run(tick.C)
		}()
	})
}

func (l *log) counted() { l.since.Add(1) }

// run writes first ones as they come, and sums at each tick that has new ones.
func (l *log) run(tick <-chan time.Time) {
	var failed error
	var told string
	write := func(e nacre.Event) { failed = cmp.Or(failed, l.recorder.Record(context.Background(), e)) }
	sum := func() {
		if l.since.Swap(0) == 0 {
			return
		}
		if e := l.sum(); e.Reason != told { // else what was counted since is in the one before
			told = e.Reason
			write(e)
		}
	}
	for {
		select {
		case e := <-l.fresh:
			write(*e)
		case <-tick:
			sum()
		case <-l.done:
			for len(l.fresh) > 0 {
				write(*<-l.fresh)
			}
			sum()
			l.result <- failed
			return
		}
	}
}

// maxSums is how many calls a record of sums lists.
const maxSums = 48

// sum is the record of what there was so far.
func (l *log) sum() nacre.Event {
	e := l.like
	e.Kind, e.Decision, e.Rule, e.Detail = "syscall.denials", nacre.Deny, "syscalls", map[string]string{}
	total, others := uint64(0), uint64(0)
	for i, d := range l.sums() {
		total += d.Count
		name := d.Subject
		if d.Remedy != "" {
			name += " (" + d.Remedy + ")"
		}
		if i < maxSums {
			e.Detail[name] = strconv.FormatUint(d.Count, 10)
		} else {
			others += d.Count
		}
	}
	if others > 0 {
		e.Detail["others"] = strconv.FormatUint(others, 10)
	}
	e.Reason = fmt.Sprintf("%d system calls denied so far", total)
	return e
}

// close waits until all is written.
func (l *log) close() error {
	began := true
	l.begin.Do(func() { began = false })
	if !began { // then nothing was counted either
		return nil
	}
	close(l.done)
	return <-l.result
}
