package native

import (
	"context"

	"nacre"
	"nacre/policy"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/watch"
)

// scanner looks for what to mask in a folder, and what to guard in one that the
// agent may write.
func scanner(pin *sandbox.Pin, blocked *policy.Blocked, write bool) *sandbox.Scanner {
	s := &sandbox.Scanner{Pin: pin, Blocked: blocked.MatchEntry}
	if write {
		s.Guarded = guards()
	}
	return s
}

// scan finds it, and has the folder watched from then on.
func (b *box) scan(ctx context.Context, pin *sandbox.Pin, blocked *policy.Blocked, t *blueprint.Entry) error {
	tree := &watch.Tree{Scanner: scanner(pin, blocked, t.Write), Inside: t.Path, Write: t.Write}
	found, err := b.watcher.Scan(ctx, tree)
	t.Masks, t.Guards = found.Masks, found.Guards
	return err
}

// keepMasked starts the watch.
func (b *box) keepMasked(ctx context.Context) error {
	o := watch.Options{PID: b.process.PID, Nested: b.spec.Nested, End: b.end}
	if b.group != nil {
		o.Freezer = b.group.Freezer()
	}
	o.Record = func(kind, reason string, detail map[string]string) error {
		return b.engine.Audit.Record(context.Background(), b.event(kind, nacre.Deny, reason, detail))
	}
	return b.watcher.Start(ctx, o)
}
