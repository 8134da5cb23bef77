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
	maxDetail = 512              // bytes of what a stranger wrote
)

func newBook(control *wire.Conn) *book {
	return &book{control: control, waiting: map[uint64]chan error{}, seen: map[denial]*repeats{}}
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
		err = errors.New("the audit cannot record it: " + a.Error)
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
	key := denial{e.Kind, e.Rule, e.Detail["to"], e.Detail["refs"]}
	now := time.Now()
	b.mu.Lock()
	if len(b.seen) >= maxSeen {
		for k, r := range b.seen {
			if now.Sub(r.since) > quiet {
				delete(b.seen, k)
			}
		}
	}
	if len(b.seen) >= maxSeen {
		key = denial{kind: e.Kind, to: "many others"}
	}
	r := b.seen[key]
	if r != nil && now.Sub(r.since) < quiet {
		r.count++
		b.mu.Unlock()
		return
	}
	if r != nil && r.count > 0 {
		e.Detail["repeated"] = strconv.Itoa(r.count)
	}
	b.seen[key] = &repeats{since: now}
	b.mu.Unlock()
	_ = b.record(ctx, e) // it is denied either way
}

// close tells what was only counted.
func (b *book) close(ctx context.Context) {
	b.mu.Lock()
	left := map[denial]int{}
	for key, r := range b.seen {
		if r.count > 0 && len(left) < maxLeft {
			left[key] = r.count
		}
	}
	b.mu.Unlock()
	for key, count := range left {
		_ = b.record(ctx, nacre.Event{Kind: key.kind, Rule: key.rule, Reason: "denied again", // it is denied either way
			Detail: map[string]string{"to": key.to, "repeated": strconv.Itoa(count)}})
	}
}

// maxLeft bounds what is told at the end.
const maxLeft = 64
