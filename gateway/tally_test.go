package gateway

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"nacre"
	"nacre/gateway/wire"
)

// allowed is how many actions the record tells of, in how many records.
func (s *supervisor) allowed() (actions, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Decision == nacre.Allow {
			records++
			n, err := strconv.Atoi(e.Detail["repeated"])
			if err != nil {
				n = 1
			}
			actions += n
		}
	}
	return actions, records
}

// TestAllowedFlood: a program cannot fill the audit by what is allowed, equal or
// not, and every action is in it, alone or in a count.
func TestAllowedFlood(t *testing.T) {
	for name, to := range map[string]func(int) string{
		"equal":  func(int) string { return "GET https://a.test:443/" },
		"differ": func(i int) string { return fmt.Sprint("GET https://a.test:443/", i) },
	} {
		t.Run(name, func(t *testing.T) {
			g, s := newGateway(t, named)
			const each, programs = 3000, 8
			var all sync.WaitGroup
			for p := range programs {
				all.Go(func() {
					for i := range each {
						if err := g.intend(context.Background(), "request", nacre.Decision{Effect: nacre.Allow, Rule: "network.1", Subject: to(p*each + i)}, nil); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			g.book.close(context.Background())
			actions, records := s.allowed()
			if most := map[string]int{"equal": 10 * few, "differ": allowedBurst + 100*allowedSteady}[name]; actions != each*programs || records > most {
				t.Errorf("%d of %d actions, in %d records of %d", actions, each*programs, records, most)
			}
		})
	}
}

// TestFloodThroughGateway: the same with real requests, which a usual rate bounds.
func TestFloodThroughGateway(t *testing.T) {
	o := behind(t, fine, nil, nil)
	o.meters.of(o.rules().Grants[0]).rate = 200
	passed := 0
	for range 300 {
		if status, _, _ := o.get(t, "GET", "/"); status == 200 {
			passed++
		}
	}
	o.book.close(context.Background())
	actions, records := o.allowed()
	if passed != 200 || actions != passed || records > few+2 {
		t.Errorf("%d passed, %d told of in %d records", passed, actions, records)
	}
	if m := newMeters().of(nacre.NetworkGrant{}); m.rate != usualRate || m.most != usualConnections {
		t.Errorf("a grant that says nothing: %+v", m)
	}
}

// TestCountingNeedsItsRecord: nothing is counted before the record that says so is
// written, nor once records fail.
func TestCountingNeedsItsRecord(t *testing.T) {
	b := newBook(nil)
	event := func() nacre.Event {
		return nacre.Event{Kind: "request", Rule: "r", Decision: nacre.Allow, Detail: map[string]string{"to": "x"}}
	}
	now := time.Now()
	var announcing *tally
	for i := range few {
		tally, role := b.tallied(event(), now)
		if want := map[bool]int{true: int(last), false: int(alone)}[i == few-1]; int(role) != want {
			t.Fatalf("%d: %v", i, role)
		}
		announcing = tally
	}
	if _, role := b.tallied(event(), now); role != waits {
		t.Fatalf("before it is written: %v", role)
	}
	announcing.counting = true
	if _, role := b.tallied(event(), now); role != counts {
		t.Fatalf("once it is: %v", role)
	}
	different := event()
	different.Detail["refs"] = "refs/heads/main"
	if _, role := b.tallied(different, now); role != alone {
		t.Fatalf("another: %v", role)
	}

	g, _ := newGateway(t, wire.Config{})
	g.book.control.Close()
	for range 3 * few {
		if g.book.allow(context.Background(), event()) == nil {
			t.Fatal("done without a record")
		}
	}
}
