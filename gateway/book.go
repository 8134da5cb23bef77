package gateway

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"nacre"
	"nacre/gateway/wire"
)

// book has events written into the audit, by the supervisor.
type book struct {
	control *wire.Conn
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan error
	seen    map[denial]*repeats
	denials space

	tallies   map[likeness]*tally // of what is allowed
	permitted space
	flushing  sync.WaitGroup
	closed    bool
}

// denial is what makes two denials the same to a reader.
type denial struct{ kind, rule, to, refs string }

// repeats counts denials that were not written one by one.
type repeats struct {
	count int
	since time.Time
}

const (
	quiet     = 10 * time.Second // in which a repeated denial is only counted
	maxSeen   = 4096             // different denials that are told apart
	burst     = 500              // of them at once
	steady    = 5                // in a second, after that
	maxDetail = 512              // bytes of what a stranger wrote
)

func newBook(control *wire.Conn) *book {
	return &book{control: control, waiting: map[uint64]chan error{}, seen: map[denial]*repeats{}, denials: newSpace(burst, steady),
		tallies: map[likeness]*tally{}, permitted: newSpace(allowedBurst, allowedSteady)}
}

// record returns once the event is in the audit; an error means that it is not,
// and that what it announces must not happen.
func (b *book) record(ctx context.Context, e nacre.Event) error {
	for k, v := range e.Detail {
		e.Detail[k] = v[:min(len(v), maxDetail)]
	}
	answer := make(chan error, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answer
	b.mu.Unlock()
	err := b.control.Send(wire.Message{Record: &wire.Record{ID: id, Event: e}})
	if err == nil {
		select {
		case err = <-answer:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.mu.Lock()
	delete(b.waiting, id)
	b.mu.Unlock()
	return err
}

// acknowledged is told by the supervisor.
func (b *book) acknowledged(a wire.Ack) {
	b.mu.Lock()
	answer := b.waiting[a.ID]
	b.mu.Unlock()
	var err error
	if a.Error != "" {
		err = errors.New("the audit cannot record it") // why is not a program's to know
	}
	if answer != nil {
		select {
		case answer <- err:
		default:
		}
	}
}

// denied records a denial. One that is repeated at once is counted, and told of
// with the next that is written, so that a program cannot fill the audit.
func (b *book) denied(ctx context.Context, e nacre.Event) {
	if again, written := b.counted(e, time.Now()); written {
		if again > 0 {
			e.Detail["repeated"] = strconv.Itoa(again)
		}
		_ = b.record(ctx, e) // it is denied either way
	}
}

// counted counts a denial. Where it is to be written, it says how many of its
// kind were only counted before.
func (b *book) counted(e nacre.Event, now time.Time) (again int, written bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := denial{e.Kind, e.Rule, e.Detail["to"], e.Detail["refs"]}
	if r := b.seen[key]; r != nil && now.Sub(r.since) < quiet {
		r.count++
		return 0, false
	}
	b.forget(now)
	if len(b.seen) >= maxSeen || !b.denials.afford(now) {
		key = denial{kind: e.Kind, to: "many others"}
	}
	r := b.seen[key]
	if r == nil {
		r = &repeats{}
		b.seen[key] = r
	}
	if now.Sub(r.since) < quiet {
		r.count++
		return 0, false
	}
	again, r.count, r.since = r.count, 0, now
	return again, true
}

// forget makes room for other denials.
func (b *book) forget(now time.Time) {
	if len(b.seen) < maxSeen {
		return
	}
	for k, r := range b.seen {
		if r.count == 0 && now.Sub(r.since) > quiet {
			delete(b.seen, k)
		}
	}
}

// close tells what was only counted.
func (b *book) close(ctx context.Context) {
	b.closeTallies()
	b.mu.Lock()
	left := map[denial]int{}
	for key, r := range b.seen {
		if r.count > 0 && len(left) < maxLeft {
			left[key] = r.count
		}
	}
	b.mu.Unlock()
	for key, count := range left {
		_ = b.record(ctx, nacre.Event{Kind: key.kind, Rule: key.rule, Reason: wire.Again, // it is denied either way
			Detail: map[string]string{"to": key.to, "repeated": strconv.Itoa(count)}})
	}
}

// maxLeft bounds what is told at the end.
const maxLeft = 64
