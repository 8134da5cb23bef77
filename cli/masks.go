package cli

import (
	"cmp"
	"context"
	"sync"
	"time"

	"nacre"
)

// maskNews passes records on, and keeps what tells of masks that changed while
// the sandbox ran, for the owner to hear.
type maskNews struct {
	nacre.Recorder
	events *events
	mu     sync.Mutex
	list   []nacre.Event
}

// Record records, and takes notice of masks.
func (m *maskNews) Record(ctx context.Context, e nacre.Event) error {
	switch e.Kind {
	case "mask.added", "mask.failed", "mask.unwatched":
		m.events.emit(event{Event: e.Kind, Path: e.Detail["folder"], Name: e.Detail["names"], Detail: e.Reason, Hint: e.Detail["hint"]})
		m.mu.Lock()
		m.list = append(m.list, e)
		m.mu.Unlock()
	}
	return m.Recorder.Record(ctx, e)
}

// mostMasks is how many lines are shown; the audit has all.
const mostMasks = 10

// tell says it in words, once the terminal is the owner's again.
func (m *maskNews) tell(app *App) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.list {
		switch {
		case i >= mostMasks:
			app.note("and %d more; nacre audit shows them", len(m.list)-i)
			return
		case e.Kind == "mask.unwatched":
			app.note("from %s on, new blocked names were not masked: %s", cmp.Or(e.Detail["since"], "some point"), e.Reason)
		default:
			app.note("%s", e.Reason)
		}
		if hint := e.Detail["hint"]; hint != "" {
			app.note("hint: %s", hint)
		}
	}
}

// slowScan is from when on it is said what looking for blocked names took.
const slowScan = time.Second

// scanned is what it took in a sandbox that has started. Where no folder is granted there
// was nothing to look for.
func scanned(p nacre.Plan, box nacre.Sandbox) time.Duration {
	if len(p.Files) == 0 {
		return 0
	}
	u, err := box.Usage()
	if err != nil {
		return 0
	}
	return u.Scan
}
