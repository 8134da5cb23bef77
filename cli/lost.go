package cli

import (
	"context"

	"nacre"
)

// heard is an audit that tells the owner at once what they would else find only
// there: that the sandbox has lost its network.
type heard struct {
	nacre.Recorder
	note func(format string, args ...any)
}

// Record records, then tells.
func (h heard) Record(ctx context.Context, e nacre.Event) error {
	err := h.Recorder.Record(ctx, e)
	if e.Kind == "gateway.lost" {
		h.note("%s", e.Reason)
	}
	return err
}
