package native

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/policy"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
)

// Warm is a sandbox with every layer on and nothing in it but its first
// process: built before it is asked for, used once.
type Warm struct {
	box  *box
	used sync.Once
}

// Warm builds a plan's sandbox, up to its command.
func (e *Engine) Warm(ctx context.Context, p nacre.Plan) (*Warm, error) {
	b, err := e.box(p)
	if err == nil {
		err = b.take(ctx, b.sweep, b.register, b.limit, b.open, b.look, b.prepare, b.furnish, b.launch, b.await, b.verify)
	}
	if err != nil {
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
		box, err = b.start(ctx, s, b.announce, b.fresh, b.verify, b.admitted, b.keepMasked)
	})
	return box, err
}

// Close takes an unused sandbox away.
func (w *Warm) Close() (err error) {
	w.used.Do(func() {
		w.box.leave()
		err = errors.Join(w.box.settle(), w.box.release())
	})
	return err
}

// sight is what a path of the host's leads to, and what is hidden in it.
type sight struct {
	blueprint.Entry
	device, inode uint64
}

// look remembers the host as it is just before the sandbox is prepared.
func (b *box) look(ctx context.Context) (err error) {
	b.seen, err = b.sights(ctx)
	return err
}

// fresh refuses where a sandbox that were built now would show other things of
// the host, or hide others.
func (b *box) fresh(ctx context.Context) error {
	now, err := b.sights(ctx)
	if err == nil && !reflect.DeepEqual(now, b.seen) {
		err = fault.New(fault.Conflict, "what the sandbox shows of the host has changed since it was built")
	}
	return err
}

func (b *box) sights(ctx context.Context) (list []sight, err error) {
	if b.plan.Image.Kind == nacre.ImageHost {
		for _, t := range hostEntries() {
			var st unix.Stat_t
			_ = unix.Lstat(t.Path, &st) // what is gone leads to nothing
			list = append(list, sight{t, st.Dev, st.Ino})
		}
	}
	blocked, err := policy.NewBlocked(b.plan.Blocked)
	for _, g := range b.plan.Files {
		pin, e := sandbox.OpenPin(g.Host)
		if e != nil {
			continue // missing then and now, if it is optional
		}
		defer pin.File.Close()
		s := sight{Entry: blueprint.Entry{Host: g.Host, Path: g.Inside, Dir: pin.Dir, Write: g.Access == nacre.Write}}
		var st unix.Stat_t
		if err == nil {
			err = unix.Fstat(int(pin.File.Fd()), &st)
		}
		if err == nil {
			var found sandbox.Findings
			found, err = scanner(pin, blocked, s.Write).Scan(ctx)
			s.Masks, s.Guards = found.Masks, found.Guards
		}
		s.device, s.inode = st.Dev, st.Ino
		list = append(list, s)
	}
	return list, err
}
