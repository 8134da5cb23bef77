package native

import (
	"context"
	"sync"
	"time"

	"nacre"
	"nacre/fault"
	"nacre/sandbox"
	"nacre/watch"
)

// Warm is a sandbox with every layer on and nothing in it but its first
// process: built before it is asked for, used once.
type Warm struct {
	box  *box
	used sync.Once
}

// Warm builds a plan's sandbox, up to its command.
func (e *Engine) Warm(ctx context.Context, p nacre.Plan) (*Warm, error) {
	b := e.box(p)
	if err := b.take(ctx, b.supported, b.sweep, b.register, b.limit, b.open, b.prepare, b.launch, b.await, b.verify); err != nil {
		return nil, b.abandon(err)
	}
	return &Warm{box: b}, nil
}

// ID is the sandbox's identifier.
func (w *Warm) ID() string { return w.box.id }

// Start starts the command, after all that Engine.Start does before: the
// posture is read again, and the start recorded. A sandbox that shows the host
// as it no longer is, is a Conflict. Where it fails, the sandbox is gone.
func (w *Warm) Start(ctx context.Context, s nacre.Streams) (box nacre.Sandbox, err error) {
	err = fault.New(fault.Conflict, "this sandbox has been used")
	w.used.Do(func() {
		b := w.box
		b.started = time.Now()
		box, err = b.start(ctx, s, b.announce, b.cores, b.sound, b.admitted, b.keepMasked)
	})
	return box, err
}

// Close takes an unused sandbox away.
func (w *Warm) Close() (err error) {
	w.used.Do(func() {
		w.box.leave()
		err = w.box.release(func() {})
	})
	return err
}

// sound refuses where a sandbox that were built now would show other things of
// the host, or hide others; meanwhile it has the posture read again.
func (b *box) sound(ctx context.Context) error {
	verified := make(chan error, 1)
	go func() { verified <- b.verify(ctx) }()
	now, err := b.look(ctx, func(ctx context.Context, t *watch.Tree) (sandbox.Findings, error) { return t.Look(ctx) })
	holds := <-verified
	if err != nil || !now.same(b.view) {
		return fault.Wrap(fault.Conflict, err, "what the sandbox shows of the host has changed since it was built")
	}
	return holds
}
