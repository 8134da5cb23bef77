package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"nacre"
	"nacre/gateway/wire"
)

type sink struct{ last nacre.Event }

func (s *sink) Record(_ context.Context, e nacre.Event) error {
	s.last = e
	return nil
}

// TestTurnedAwayFlood: a program that asks for ever new names is counted, in a list
// that does not grow.
func TestTurnedAwayFlood(t *testing.T) {
	audit := &sink{}
	w := &turnedAway{Recorder: audit, live: &live{}}
	record := func(to, reason, repeated string) {
		e := nacre.Event{Kind: "network.name", Rule: "default", Reason: reason, Detail: map[string]string{"to": to, "repeated": repeated}}
		if err := w.Record(context.Background(), e); err != nil || audit.last.Detail["to"] != to {
			t.Fatal(err, audit.last)
		}
	}
	for i := range 5000 {
		record(fmt.Sprintf("n%d.example.com.", i), "no grant", "")
	}
	record("n7.example.com.", "no grant", "3")
	record("n7.example.com.", wire.Again, "10")
	record("many others", wire.Again, "20")
	record("down.example.com", wire.Allowed+"but it cannot be reached", "")
	if len(w.list) != maxAway || w.list[7].count != 15 || w.more != 5000-maxAway+20 {
		t.Error(len(w.list), w.list[7], w.more)
	}
	if s := w.list[7].String(); s != "n7.example.com, 15 times: no grant" {
		t.Error(s)
	}
	if s := (away{to: "a\x1b[2J.", reason: "b\n"}).String(); strings.ContainsAny(s, "\x1b\n") {
		t.Errorf("%q", s)
	}
}
