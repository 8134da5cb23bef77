package cli

import (
	"context"
	"strings"
	"sync"

	"nacre"
	"nacre/fault/advice"
)

// heard is an audit that tells the owner at once what they would else find only
// there, or nowhere: that the sandbox has lost its network, and that something cannot be
// recorded. Inside, that is told without the reason.
type heard struct {
	nacre.Recorder
	app    *App
	events *events

	mu     sync.Mutex
	lost   int  // records
	unsaid bool // the start cannot be recorded, which its refusal says
}

// Record records, then tells. Who has a start, an end or a command recorded tells itself
// that it failed; a refusal has no one else who would.
func (h *heard) Record(ctx context.Context, e nacre.Event) error {
	err := h.Recorder.Record(ctx, e)
	switch {
	case err == nil:
	case e.Kind == "sandbox.start":
		h.unsaid = true // the refusal comes after it
	case e.Kind == "sandbox.refused" && !h.unsaid:
		h.app.note("the refusal could not be recorded: %v", err)
	}
	if e.Kind == "gateway.lost" {
		h.app.note("%s", e.Reason)
	}
	if err != nil && !strings.HasPrefix(e.Kind, "sandbox.") {
		h.failed(err)
	}
	return err
}

// failed tells of the first, and counts them: a program chooses how many there are.
func (h *heard) failed(err error) {
	h.mu.Lock()
	h.lost++
	first := h.lost == 1
	h.mu.Unlock()
	if !first {
		return
	}
	hint := advice.Of(err, "nacre run")
	h.app.note("nothing can be recorded, and so nothing is let out of the sandbox: %v", err)
	h.app.note("hint: %s", hint)
	h.events.emit(event{Event: "audit.failed", Error: err.Error(), Hint: hint})
}

// tell says at the end how many there were.
func (h *heard) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost > 1 {
		h.app.note("%d things could not be recorded; what of them would have left the sandbox was refused", h.lost)
	}
}
