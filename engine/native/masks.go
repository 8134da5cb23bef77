package native

import (
	"context"
	"fmt"
	"slices"
	"time"

	"nacre"
	"nacre/fault"
	"nacre/policy"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/watch"
)

// scan finds what to mask and to guard in a folder, and has it watched from
// then on.
func (b *box) scan(ctx context.Context, pin *sandbox.Pin, blocked *policy.Blocked, t *blueprint.Tree) (err error) {
	began := time.Now()
	defer func() { b.scanned += time.Since(began) }()
	tree := &watch.Tree{Scanner: &sandbox.Scanner{Pin: pin, Blocked: blocked.MatchEntry}, Inside: t.Inside, Write: t.Write}
	if t.Write {
		tree.Scanner.Guarded = guards()
	}
	var found sandbox.Findings
	if b.watcher != nil {
		found, err = b.watcher.Scan(ctx, tree)
	}
	if b.watcher == nil || b.unwatched(err) {
		tree.Scanner.Watch = nil
		found, err = tree.Scanner.Scan(ctx)
	}
	t.Masks, t.Guards = found.Masks, found.Guards
	return err
}

// watch makes the watcher, or accepts that there is none.
func (b *box) watch() (err error) {
	if len(b.plan.Files) > 0 {
		b.watcher, err = watch.New()
	}
	if b.unwatched(err) {
		err = nil
	}
	return err
}

// unwatched gives the watch up, where it failed for want of what the kernel
// gives and the owner accepts that.
func (b *box) unwatched(err error) bool {
	if fault.KindOf(err) != fault.Unsupported || !slices.Contains(b.plan.Accepted, nacre.TierMasksAtStart) {
		return false
	}
	if b.watcher != nil {
		_ = b.watcher.Close()
		b.watcher = nil
	}
	return true
}

// keepMasked starts the watch.
func (b *box) keepMasked(ctx context.Context) error {
	if b.watcher == nil {
		return nil
	}
	box := watch.Box{PID: b.process.PID, Masked: b.masked, Failed: b.unmasked}
	if b.group != nil && b.group.Freezable() {
		box.Freeze, box.Threads = b.group.Freeze, b.group.Threads
	}
	return b.watcher.Start(ctx, box)
}

// masked records what was masked in the running sandbox.
func (b *box) masked(t *watch.Tree, names []string) error {
	list := fmt.Sprintf("%.2000q", names)
	event := b.event("mask.added", nacre.Deny, "a blocked name appeared", map[string]string{"folder": t.Scanner.Pin.Path, "names": list})
	if err := b.engine.Audit.Record(context.Background(), event); err != nil {
		return err
	}
	if b.spec.Nested {
		return fault.New(fault.Denied, "%s appeared in %s, and a sandbox within the sandbox keeps the mounts that it was made with", list, t.Scanner.Pin.Path)
	}
	return nil
}

// unmasked ends a sandbox whose masks cannot be kept up; but where its folders
// can no longer be watched and the owner accepts that, it goes on.
func (b *box) unmasked(err error) {
	kind := "mask.failed"
	switch limit := fault.KindOf(err) == fault.Unsupported; {
	case limit && slices.Contains(b.plan.Accepted, nacre.TierMasksAtStart):
		kind = "mask.unwatched"
	case limit:
		b.end("folders-unwatched")
	default:
		b.end("blocked-name-appeared")
	}
	event := b.event(kind, nacre.Deny, err.Error(), map[string]string{"hint": fault.HintOf(err)})
	_ = b.engine.Audit.Record(context.Background(), event) // it has ended either way
}
