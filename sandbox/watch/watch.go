// Package watch sees to it that masks hold while folders change. Masks cover
// what a scan found; the folders are shared live with the host, where a blocked
// name can appear later, and where renaming a file over a masked one takes the
// mask away. A Watcher is told by the kernel (inotify) of every new name, scans
// what is new by the same rules, stops the sandbox where it finds something,
// and masks it.
//
// What an agent did in between is not undone: this detects, and then prevents.
package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/sandbox"
)

// Tree is a granted folder under watch.
type Tree struct {
	Scanner *sandbox.Scanner
	Inside  string // where it is in the sandbox
	Write   bool   // the agent can make entries of its own
	masked  map[string]bool
}

// Watcher watches the folders of one sandbox.
type Watcher struct {
	fd      int
	queue   *os.File // of the same descriptor
	at      map[int32][]place
	trees   []*Tree
	box     Box
	inside  inside
	still   bool // the sandbox is frozen
	begun   bool // it runs
	laid    int  // masks so far
	running sync.WaitGroup
}

// Box is the sandbox that is watched for.
type Box struct {
	PID     int                                    // its first process
	Freeze  func(still bool) error                 // nil: it can only be ended
	Threads func() ([]int, error)                  // all of them
	Masked  func(tree *Tree, names []string) error // told of each mask that was added
	Failed  func(error)                            // told why nothing is watched from now on
}

// place is a folder in a tree; granted twice, one folder has several.
type place struct {
	tree *Tree
	rel  string
}

// New makes a watcher. Errors: Unsupported, where the kernel gives none.
func New() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, unwatched(err, "instances")
	}
	return &Watcher{fd: fd, queue: os.NewFile(uintptr(fd), "inotify"), at: map[int32][]place{}}, nil
}

func unwatched(err error, limit string) error {
	return fault.Wrap(fault.Unsupported, err, "granted folders cannot be watched for blocked names").
		WithHint("as an administrator: raise sysctl fs.inotify.max_user_%s; or grant a smaller folder; or accept the lower tier: --accept %s", limit, nacre.TierMasksAtStart)
}

// Scan scans a tree, from now on under watch.
func (w *Watcher) Scan(ctx context.Context, t *Tree) (sandbox.Findings, error) {
	w.trees = append(w.trees, t)
	t.masked = map[string]bool{}
	t.Scanner.Watch = func(dir *os.File, rel string) error { return w.add(dir, place{t, rel}) }
	found, err := t.Scanner.Scan(ctx)
	t.note(found.Masks)
	return found, err
}

func (t *Tree) note(names []string) {
	for _, name := range names {
		t.masked[name] = true
	}
}

func (w *Watcher) add(dir *os.File, p place) error {
	self := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd()))
	wd, err := unix.InotifyAddWatch(w.fd, self, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err != nil {
		return unwatched(err, "watches")
	}
	others := slices.DeleteFunc(w.at[int32(wd)], func(o place) bool { return o.tree == p.tree })
	w.at[int32(wd)] = append(others, p)
	return nil
}

// most bounds the masks that one run may need: mounts are not for nothing, and
// an agent can make any number of blocked names.
const most = 1000

// Start catches up with what has changed since the scans, before the agent
// runs, and goes on until Close.
func (w *Watcher) Start(ctx context.Context, b Box) (err error) {
	w.box = b
	if w.inside, err = enter(b.PID); err != nil {
		return err
	}
	news := make([]byte, 64<<10)
	for {
		n, err := unix.Read(w.fd, news)
		if err == unix.EAGAIN {
			break
		}
		if err == nil {
			err = w.heed(ctx, news[:n])
		}
		if err != nil {
			return err
		}
	}
	w.begun = true
	w.running.Go(func() { w.run(ctx, news) })
	return nil
}

// Close ends the watch.
func (w *Watcher) Close() error {
	err := w.queue.Close()
	w.running.Wait()
	return errors.Join(err, w.inside.close())
}

func (w *Watcher) run(ctx context.Context, news []byte) {
	for {
		n, err := w.queue.Read(news)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err == nil {
			err = w.heed(ctx, news[:n])
		}
		if err != nil {
			w.box.Failed(err) // ends it, or accepts that it goes on
			_ = w.freeze(false)
			return
		}
	}
}

// heed acts on what the kernel reports. When that is much, the sandbox stands
// still meanwhile: an agent must not be able to keep us busy with names of its
// own while it waits for a better one.
func (w *Watcher) heed(ctx context.Context, news []byte) (err error) {
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
	if err != nil {
		return err
	}
	for t, names := range added {
		err = errors.Join(err, w.box.Masked(t, names))
	}
	return err
}

type event struct {
	wd   int32
	mask uint32
	name string
}

// next takes one event (inotify(7)) off the front.
func next(b []byte) (event, []byte) {
	order := binary.NativeEndian
	end := min(unix.SizeofInotifyEvent+int(order.Uint32(b[12:])), len(b))
	name, _, _ := strings.Cut(string(b[unix.SizeofInotifyEvent:end]), "\x00")
	return event{int32(order.Uint32(b)), order.Uint32(b[4:]), name}, b[end:]
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
		delete(w.at, e.wd)
	default:
		for _, p := range w.at[e.wd] {
			if err == nil {
				err = w.cover(p.tree, added, func() (sandbox.Findings, error) { return p.tree.Scanner.Entry(ctx, p.rel, e.name) })
			}
		}
	}
	return err
}

// freeze has the sandbox stand still, or go on, where that can be had.
func (w *Watcher) freeze(still bool) error {
	if w.still == still || w.box.Freeze == nil || !w.begun {
		return nil
	}
	w.still = still
	return w.box.Freeze(still)
}

// cover masks what a scan finds, and judges whether the agent may go on.
func (w *Watcher) cover(t *Tree, added map[*Tree][]string, scan func() (sandbox.Findings, error)) error {
	found, err := scan()
	if err != nil || len(found.Masks) == 0 {
		return err
	}
	if err := w.freeze(true); err != nil {
		return err
	}
	names, err := w.inside.mask(t.Inside, found.Masks)
	if err != nil {
		return err
	}
	if w.laid += len(names); w.laid > most {
		return fault.New(fault.Exhausted, "over %d blocked names appeared in %s", most, t.Scanner.Pin.Path)
	}
	added[t] = append(added[t], names...)
	// In a folder that it may write, the agent itself may have made the name, but
	// for one that was masked: that could only be replaced from outside.
	hosts := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return t.Write && !t.masked[n] })
	t.note(names)
	if len(hosts) == 0 || !w.begun {
		return nil
	}
	return w.unopened(t, hosts)
}

// unopened fails where a process in the sandbox has what is masked now open: no
// mask takes that away again.
func (w *Watcher) unopened(t *Tree, names []string) error {
	reason := "there is no control group to stop the sandbox by and see whether it was opened"
	if w.box.Freeze != nil {
		threads, err := w.box.Threads()
		if err != nil {
			return err
		}
		holder, err := w.inside.holder(threads, t.Inside, names)
		if err == nil && holder == 0 {
			return nil
		}
		reason = "a process of the sandbox has it open"
		if err != nil {
			reason = "whether it was opened cannot be seen: " + err.Error()
		}
	}
	return fault.New(fault.Denied, "%q appeared in %s, and %s", names[0], t.Scanner.Pin.Path, reason)
}
