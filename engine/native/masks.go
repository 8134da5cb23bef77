package native

import (
	"context"

	"nacre"
	"nacre/policy"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/watch"
)

// scan finds what to mask and to guard in a folder.
func (b *box) scan(ctx context.Context, pin *sandbox.Pin, blocked *policy.Blocked, t *blueprint.Tree) error {
	s := &sandbox.Scanner{Pin: pin, Blocked: blocked.MatchEntry}
	if t.Write {
		s.Guarded = guards()
	}
	found, err := b.watcher.Scan(ctx, &watch.Tree{Scanner: s, Inside: t.Inside, Write: t.Write})
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
