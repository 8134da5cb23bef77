package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"time"

	"nacre"
)

// A program chooses how many allowed requests it makes, and what the audit holds
// stays there. So equal ones have records of their own only at first; the last of
// these says that more are counted, and until it is written nothing is. At the end
// of the window a record says how many there were. Where too many differ, those
// that a grant allows are equal.
const (
	few           = 20               // equal ones with a record of their own in a window
	window        = 10 * time.Second // in which the others are counted
	allowedBurst  = 5000             // records of their own at once
	allowedSteady = 10               // in a second, after that
)

// likeness is what makes two events the same to a reader.
type likeness [sha256.Size]byte

// tally is what is known of equal events in one window.
type tally struct {
	recorded, more int
	counting       bool          // the record that says so is written
	announced      chan struct{} // closed once it is, or cannot be
	event          nacre.Event
}

// role is what becomes of one event.
type role int

const (
	alone role = iota // it has a record
	last              // its record says that more are counted
	waits             // until that is written
	counts
)

// allow returns once the audit knows of an event that is about to happen: by a
// record of its own, or by one before it that says that more are counted.
func (b *book) allow(ctx context.Context, e nacre.Event) error {
	for {
		t, role := b.tallied(e, time.Now())
		switch role {
		case counts:
			return nil
		case alone:
			return b.record(ctx, e)
		case last:
			return b.announce(ctx, t, e)
		case waits:
		}
		select {
		case <-t.announced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tallied counts an event in.
func (b *book) tallied(e nacre.Event, now time.Time) (*tally, role) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, most := like(e.Kind, e.Rule, e.Detail), few
	t := b.tallies[key]
	switch {
	case b.closed:
		return nil, alone
	case (t == nil || t.recorded < few) && !b.permitted.afford(now):
		key, most = like(e.Kind, e.Rule, nil), 1
		t = b.tallies[key]
	}
	if t == nil {
		t = &tally{announced: make(chan struct{}), event: nacre.Event{Kind: e.Kind, Decision: e.Decision, Rule: e.Rule, Reason: "more like one before",
			Detail: map[string]string{"to": e.Detail["to"]}}}
		if most == 1 {
			t.event.Detail["to"], t.event.Reason = "many others", "more that the same grant allows"
		}
		b.tallies[key] = t
		time.AfterFunc(window, func() { b.flush(key, t) })
	}
	switch {
	case t.counting:
		t.more++
		return t, counts
	case t.recorded == most:
		return t, waits
	}
	if t.recorded++; t.recorded == most {
		return t, last
	}
	return t, alone
}

// like is the likeness of events.
func like(kind, rule string, detail map[string]string) likeness {
	text, _ := json.Marshal([]any{kind, rule, detail}) // never fails: there are texts in it alone
	return sha256.Sum256(text)
}

// announce records an event after which more are counted. Where that fails, none
// is: the next tries to have a record.
func (b *book) announce(ctx context.Context, t *tally, e nacre.Event) error {
	e.Detail["then"] = "more are counted"
	err := b.record(ctx, e)
	b.mu.Lock()
	defer b.mu.Unlock()
	t.counting = err == nil
	if err != nil {
		for key := range b.tallies {
			if b.tallies[key] == t {
				delete(b.tallies, key)
			}
		}
	}
	close(t.announced)
	return err
}

// flush ends a window: what was counted in it is told, and the next event has a
// record of its own again.
func (b *book) flush(key likeness, t *tally) {
	b.mu.Lock()
	mine := b.tallies[key] == t
	if mine {
		delete(b.tallies, key)
		b.flushing.Add(1)
	}
	b.mu.Unlock()
	if mine {
		b.tell(t)
		b.flushing.Done()
	}
}

// tell records what was counted: the audit knew that there would be more.
func (b *book) tell(t *tally) {
	if t.more > 0 {
		t.event.Detail["repeated"] = strconv.Itoa(t.more)
		_ = b.record(context.Background(), t.event) // it is done
	}
}

// closeTallies tells what is counted, and has nothing counted from now on.
func (b *book) closeTallies() {
	rest := &tally{event: nacre.Event{Kind: "request", Decision: nacre.Allow, Reason: "more that grants allow", Detail: map[string]string{"to": "many others"}}}
	left := []*tally{rest}
	b.mu.Lock()
	b.closed = true
	for _, t := range b.tallies {
		switch {
		case t.more > 0 && len(left) <= maxLeft:
			left = append(left, t)
		default:
			rest.more += t.more
		}
	}
	clear(b.tallies)
	b.mu.Unlock()
	for _, t := range left {
		b.tell(t)
	}
	b.flushing.Wait()
}

// space is how many records may be written.
type space struct {
	burst, steady float64 // at once, and in a second after that
	left          float64
	filled        time.Time
}

func newSpace(burst, steady float64) space { return space{burst, steady, burst, time.Now()} }

// afford takes room for one record, where there is some.
func (s *space) afford(now time.Time) bool {
	s.left = min(s.burst, s.left+s.steady*now.Sub(s.filled).Seconds())
	s.filled = now
	if s.left < 1 {
		return false
	}
	s.left--
	return true
}
