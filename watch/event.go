package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox"
)

// event is one report of the kernel's (inotify(7)).
type event struct {
	folder int32
	mask   uint32
	name   string
}

// next takes one event off the front.
func next(b []byte) (event, []byte) {
	order := binary.NativeEndian
	end := min(unix.SizeofInotifyEvent+int(order.Uint32(b[12:])), len(b))
	name, _, _ := strings.Cut(string(b[unix.SizeofInotifyEvent:end]), "\x00")
	return event{int32(order.Uint32(b)), order.Uint32(b[4:]), name}, b[end:]
}

// heed acts on some events. Where they are many, the sandbox stands still
// meanwhile: an agent must not be able to keep us busy with names of its own
// while it waits for a better one.
func (w *Watcher) heed(ctx context.Context, news []byte) (err error) {
	w.heard, w.looked = time.Now(), 0
	if len(news) > cap(news)/2 {
		err = w.freeze(true)
	}
	added := map[*Tree][]string{}
	for err == nil && len(news) >= unix.SizeofInotifyEvent {
		var e event
		e, news = next(news)
		err = w.event(ctx, e, added)
	}
	if err == nil {
		err = w.freeze(false)
	}
	for t, names := range added {
		if err == nil {
			list, folder := fmt.Sprintf("%q", names), t.Scanner.Pin.Path
			detail := map[string]string{"folder": folder, "names": list[:min(len(list), 4000)]}
			err = w.box.Record("mask.added", fmt.Sprintf("blocked names appeared in %s and were masked: %.200s", folder, list), detail)
		}
	}
	return err
}

func (w *Watcher) event(ctx context.Context, e event, added map[*Tree][]string) (err error) {
	switch {
	case e.mask&unix.IN_Q_OVERFLOW != 0: // anything may have happened
		err = w.freeze(true)
		for _, t := range w.trees {
			if err == nil {
				err = w.cover(t, added, func() (sandbox.Findings, error) { return t.Scanner.Scan(ctx) })
			}
		}
	case e.mask&unix.IN_IGNORED != 0: // the folder is gone
		for _, p := range w.at[e.folder] {
			w.names -= len(p.rel)
		}
		delete(w.at, e.folder)
	default:
		for _, p := range w.at[e.folder] {
			if err == nil {
				err = w.cover(p.tree, added, func() (sandbox.Findings, error) { return p.tree.entry(ctx, p.rel, e.name) })
			}
		}
	}
	return err
}

// entry scans an entry of a folder; where that was closed meanwhile, or is deeper
// than paths go, the folder itself as an entry of the one above.
func (t *Tree) entry(ctx context.Context, folder, name string) (sandbox.Findings, error) {
	found, err := t.Scanner.Entry(ctx, folder, name)
	if (errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENAMETOOLONG)) && folder != "" {
		above, name := path.Split(folder)
		return t.entry(ctx, strings.TrimSuffix(above, "/"), name)
	}
	return found, err
}

// most bounds the masks of one run: an agent can make any number of blocked
// names, and mounts are not for nothing.
const most = 1000

// cover masks what a scan finds, and judges whether the agent may go on.
func (w *Watcher) cover(t *Tree, added map[*Tree][]string, scan func() (sandbox.Findings, error)) error {
	found, err := scan()
	if err = errors.Join(err, w.slow); err == nil {
		err = w.guard(t, found.Guards)
	}
	if err != nil || len(found.Masks) == 0 {
		return err
	}
	if err := w.freeze(true); err != nil {
		return err
	}
	names, err := w.mask(t, found.Masks)
	if err != nil || len(names) == 0 {
		return err
	}
	added[t] = append(added[t], names...)
	if err := w.unconnected(t, names); err != nil {
		return err
	}
	// In a folder that it may write, the agent itself may have made the name, but
	// not where one was masked: that could be replaced only from outside.
	theirs := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return t.Write && !t.masked[n] })
	t.note(names)
	if !w.begun || len(theirs) == 0 {
		return nil
	}
	return w.unopened(t, theirs)
}

// guard lays guards anew over what had one: a new file of yours, in its place,
// lost it. What is new is not guarded: the agent may make settings of its own.
func (w *Watcher) guard(t *Tree, list []sandbox.Guard) error {
	list = slices.DeleteFunc(list, func(g sandbox.Guard) bool { return !t.guarded[g.Path] })
	if len(list) == 0 {
		return nil
	}
	if err := w.freeze(true); err != nil {
		return err
	}
	var renewed []string
	for _, g := range list { // parents first: what they hold is another thing once they are mounts
		bare, err := w.inside.Guard(t.Inside, g)
		if err != nil {
			return err
		}
		if bare {
			renewed = append(renewed, g.Path)
			w.note(t, g.Path)
		}
	}
	if len(renewed) == 0 || !w.begun {
		return nil
	}
	reason := fmt.Sprintf("%.200q in %s were replaced, and for a moment the agent could write to them: look at them before you use them", renewed, t.Scanner.Pin.Path)
	if err := w.box.Record("guard.renewed", reason, map[string]string{"folder": t.Scanner.Pin.Path}); err != nil || w.box.Freezer == "" {
		return err
	}
	return w.unopened(t, renewed) // what is open stays writable
}

// An agent must not be able to keep us busy with few but large folders either.
// There is much to look at from so many entries on, for one read of news; where
// the sandbox cannot be frozen meanwhile, it is ended if that takes too long.
const (
	much = 2000
	long = 10 * time.Second
)

// hurry sees to that.
func (w *Watcher) hurry(t *Tree) {
	blocked := t.Scanner.Blocked
	t.Scanner.Blocked = func(parents []string, name string) (string, bool) {
		if w.looked++; w.looked%much == 0 && w.slow == nil {
			w.slow = w.freeze(true)
			if w.box.Freezer == "" && time.Since(w.heard) > long {
				w.slow = fault.New(fault.Exhausted, "folders change faster than they can be looked at")
			}
		}
		return blocked(parents, name)
	}
}

// note remembers what was laid.
func (w *Watcher) note(t *Tree, names ...string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	for _, name := range names {
		w.laid = append(w.laid, path.Join(t.Inside, name))
	}
}

// Laid lists the mounts that were laid since the start.
func (w *Watcher) Laid() []string {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slices.Clone(w.laid)
}

// mask lays masks until all that is still there has one, and returns what had
// none before.
func (w *Watcher) mask(t *Tree, names []string) (laid []string, err error) {
	for _, name := range names {
		for round := 0; ; round++ {
			bare, err := w.inside.Mask(t.Inside, name)
			if bare != "" {
				laid = append(laid, bare)
				w.note(t, bare)
				w.masks++
			}
			if err == nil && bare != "" && w.begun && w.box.Nested {
				err = fault.New(fault.Denied, "a mask would not reach a sandbox within the sandbox")
			}
			if err == nil && (w.masks > most || round > 9) {
				err = fault.New(fault.Exhausted, "over %d masks would be needed", most)
			}
			if err != nil {
				return nil, fault.Wrap(fault.KindOf(err), err, "%q appeared in %s", name, t.Scanner.Pin.Path)
			}
			if bare == "" {
				break
			}
		}
	}
	slices.Sort(laid)
	return slices.Compact(laid), nil
}
