package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"nacre"
	"nacre/explain"
	"nacre/gateway/wire"
	"nacre/terminal"
)

// turnedAway puts into the records of what a sandbox was not let out to the line
// that would allow it, and counts them for the owner to hear at the end.
type turnedAway struct {
	nacre.Recorder
	live *live // what holds now

	mu   sync.Mutex
	list []away
	more int // that there was no room for
}

// away is one thing that a program wanted outside.
type away struct {
	to, reason, remedy string
	count              int
}

// maxAway is how many are told apart: a program chooses what it asks for.
const maxAway = 100

// Record records, with the remedy.
func (t *turnedAway) Record(ctx context.Context, e nacre.Event) error {
	if !strings.HasPrefix(e.Kind, "network.") {
		return t.Recorder.Record(ctx, e)
	}
	now := t.live.standing()
	if now.plan.Digest != "" {
		e.Plan = now.plan.Digest
	}
	if e.Decision != nacre.Allow && !strings.HasPrefix(e.Reason, wire.Allowed) {
		if remedy := explain.Outward(now.plan, now.authority(), e); remedy != "" {
			e.Detail = maps.Clone(e.Detail)
			e.Detail["remedy"] = remedy
		}
		t.count(e)
	}
	return t.Recorder.Record(ctx, e)
}

// count counts a denial in.
func (t *turnedAway) count(e nacre.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := away{e.Detail["to"], e.Reason, e.Detail["remedy"], wire.Attempts(e)}
	i := slices.IndexFunc(t.list, func(o away) bool { return o.to == a.to && (o.remedy == a.remedy || e.Reason == wire.Again) })
	switch {
	case i >= 0:
		t.list[i].count += a.count
	case len(t.list) < maxAway && e.Reason != wire.Again:
		t.list = append(t.list, a)
	default:
		t.more += a.count
	}
}

// tellTurned says what the run was not let out to, how often, and the line that
// would allow each.
func (s *session) tellTurned() {
	t := s.turned
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.list {
		s.events.turned(a)
	}
	if s.quiet {
		return
	}
	for _, a := range t.list[:min(len(t.list), maxDenied)] {
		fmt.Fprintf(s.app.Err, "denied: %s\n", a)
	}
	more := t.more
	for _, a := range t.list[min(len(t.list), maxDenied):] {
		more += a.count
	}
	if more > 0 {
		s.app.note("%d more attempts to reach something were denied; nacre audit show lists them", more)
	}
}

// String is a line for the owner: a program inside chose where it wanted to go, and
// explain.Outward that the remedy is safe to print as it is.
func (a away) String() string {
	what := terminal.Clean(strings.TrimSuffix(a.to, ".")) + ", " + times(a.count) + ": "
	if a.remedy == "" {
		return what + terminal.Clean(a.reason)
	}
	return what + a.remedy + " in manifest and policy would allow it"
}
