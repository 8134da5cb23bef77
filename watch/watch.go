// Package watch sees to it that masks hold while folders change. Masks cover
// what a scan found; but granted folders are shared live with the host, where a
// blocked name can appear later, and where renaming a file over a masked one
// takes the mask away. A Watcher is told by the kernel (inotify) of every new
// name, scans what is new by the same rules, freezes the sandbox where something
// is to be masked, masks it, and lets it go on, or ends it.
//
// What an agent did in between is not undone: appearing is detected, not
// prevented. A fault in this package leaves the masks of the start.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/gitconfig"
	"nacre/sandbox"
	"nacre/sandbox/inside"
)

// Tree is a granted folder.
type Tree struct {
	Scanner *sandbox.Scanner
	Inside  string // where it is in the sandbox
	Write   bool   // the agent can make entries of its own
	masked  map[string]bool
	guarded map[string]bool // those that were there at the start
	named   map[string]bool // of these, what git's configuration names: read-only?
}

// Watcher watches the granted folders of one sandbox.
type Watcher struct {
	Took time.Duration // the scans, so far

	accepted bool     // to go on unwatched
	fd       int      // of the queue
	share    int      // of the owner's watches
	queue    *os.File // nil: nothing is watched
	off      error    // why nothing will be
	at       map[int32][]place
	trees    []*Tree
	box      Options
	inside   *inside.View
	begun    bool      // the agent runs
	still    bool      // it is frozen
	masks    int       // laid so far
	heard    time.Time // when the news were read
	looked   int       // entries, since then
	slow     error     // why it could not be frozen while they were looked at
	names    int       // bytes of the paths in at

	lock    sync.Mutex
	laid    []string // where, in the sandbox: masks and guards
	running sync.WaitGroup
}

// place is a folder in a tree; one that is granted twice is several.
type place struct {
	tree *Tree
	rel  string
}

// Options say how the sandbox can be dealt with.
type Options struct {
	PID     int    // its first process
	Freezer string // its control group, of v2 or of v1's freezer; empty: it can only be ended
	Nested  bool   // it may have made mount namespaces, which no mask reaches
	Record  func(kind, reason string, detail map[string]string) error
	End     func(reason string) // also where it is frozen
}

// New makes a watcher. Accepted tells that where folders cannot be watched, a
// sandbox may go on without.
func New(accepted bool) *Watcher { return &Watcher{accepted: accepted, at: map[int32][]place{}} }

// open makes the queue: only for who has folders to watch, since one user can
// have no more than fs.inotify.max_user_instances.
func (w *Watcher) open() error {
	if w.queue != nil || w.off != nil {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return unwatched(err, "instances")
	}
	w.fd, w.queue, w.share = fd, os.NewFile(uintptr(fd), "inotify"), share()
	return nil
}

// maxNames bounds the paths that are remembered, in bytes: the agent makes them.
const maxNames = 64 << 20

// share is how many watches a sandbox may have: its folders are for the agent to
// make, and what watches of one user are left are for all that the user runs.
func share() int {
	least := math.MaxInt
	for _, file := range []string{"fs/inotify/max_user_watches", "user/max_inotify_watches"} {
		b, err := os.ReadFile("/proc/sys/" + file)
		if n, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil {
			least = min(least, n)
		}
	}
	return least / 4 * 3
}

func unwatched(err error, limit string) error {
	return fault.Wrap(fault.Unsupported, err, "granted folders cannot be watched for blocked names").
		WithHint("as an administrator: raise sysctl fs.inotify.max_user_%s; or grant a smaller folder; "+
			"or accept the lower tier: --accept %s", limit, nacre.TierMasksAtStart)
}

// Scan scans a tree, and has it watched from then on.
func (w *Watcher) Scan(ctx context.Context, t *Tree) (sandbox.Findings, error) {
	began := time.Now()
	defer func() { w.Took += time.Since(began) }()
	t.masked, t.guarded = map[string]bool{}, map[string]bool{}
	w.trees = append(w.trees, t)
	t.Scanner.Watch = func(dir *os.File, rel string) error { return w.add(dir, place{t, rel}) }
	err := w.open()
	var found sandbox.Findings
	if err == nil {
		found, err = t.Look(ctx)
	}
	if fault.KindOf(err) == fault.Unsupported && w.accepted {
		w.off = err
		w.stop()
		found, err = t.Look(ctx)
	}
	t.note(found.Masks)
	for _, g := range found.Guards {
		t.guarded[g.Path] = true
	}
	if strict := t.Scanner.Guarded; strict != nil { // links that refuse a folder must not end a run
		t.Scanner.Guarded = func(parents []string, e fs.DirEntry) (bool, bool, error) {
			guarded, readOnly, _ := strict(parents, e)
			if !guarded && len(t.named) > 0 && e.Type()&fs.ModeSymlink == 0 {
				full := "/" + strings.Join(parents, "/") + "/" + e.Name()
				readOnly, guarded = t.named[strings.TrimPrefix(full, t.Scanner.Pin.Path+"/")]
			}
			return guarded, readOnly, nil
		}
	}
	return found, err
}

// Look scans a tree. Where the agent may write, what git's configuration names is guarded
// too (package gitconfig).
func (t *Tree) Look(ctx context.Context) (sandbox.Findings, error) {
	found, err := t.Scanner.Scan(ctx)
	if err != nil || !t.Write || !t.Scanner.Pin.Dir {
		return found, err
	}
	named, err := gitconfig.Guards(t.Scanner.Pin.Path, found)
	t.named = map[string]bool{}
	for _, g := range named {
		t.named[g.Path] = g.ReadOnly
	}
	found.Guards = append(found.Guards, named...)
	slices.SortFunc(found.Guards, func(a, b sandbox.Guard) int { return strings.Compare(a.Path, b.Path) }) // parents first
	return found, err
}

func (t *Tree) note(names []string) {
	for _, name := range names {
		t.masked[name] = true
	}
}

// add watches a folder. One that is watched already is the same watch, at what
// may be a new place.
func (w *Watcher) add(dir *os.File, p place) error {
	if w.queue == nil {
		return nil
	}
	if w.names > maxNames || len(w.at) >= w.share {
		return unwatched(fmt.Errorf("%d folders are watched, which leaves too little to you", len(w.at)), "watches")
	}
	name := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd()))
	wd, err := unix.InotifyAddWatch(w.fd, name, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err != nil {
		return unwatched(err, "watches")
	}
	w.names += len(p.rel)
	others := slices.DeleteFunc(w.at[int32(wd)], func(o place) bool {
		if o.tree == p.tree {
			w.names -= len(o.rel)
		}
		return o.tree == p.tree
	})
	w.at[int32(wd)] = append(others, p)
	return nil
}

// Start catches up with what has changed since the scans, before the agent
// runs, and goes on until Close.
func (w *Watcher) Start(ctx context.Context, o Options) (err error) {
	if w.off != nil { // which is accepted, and is said
		return o.Record("mask.unwatched", w.off.Error(), map[string]string{"hint": fault.HintOf(w.off), "since": "the start"})
	}
	if w.queue == nil || len(w.at) == 0 {
		return nil
	}
	w.box = o
	if w.inside, err = inside.Enter(o.PID); err != nil {
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
	for _, t := range w.trees {
		w.hurry(t)
	}
	w.running.Go(func() { w.run(context.WithoutCancel(ctx), news) })
	return nil
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
			w.fail(err)
			return
		}
	}
}

// fail ends a sandbox whose masks cannot be kept up; but where only its folders
// can no longer be watched, and that is accepted, it goes on.
func (w *Watcher) fail(err error) {
	if w.inside.Gone() {
		return
	}
	kind, limit := "mask.failed", fault.KindOf(err) == fault.Unsupported
	switch {
	case limit && w.accepted:
		kind = "mask.unwatched"
	case limit:
		w.box.End("folders-unwatched")
	default:
		w.box.End("blocked-name-appeared")
	}
	_ = w.freeze(false)                                                               // after its death, or for it to go on: frozen it would do neither
	_ = w.box.Record(kind, err.Error(), map[string]string{"hint": fault.HintOf(err)}) // it has happened either way
}

// stop ends the watch.
func (w *Watcher) stop() {
	if w.queue != nil {
		w.queue.Close()
		w.running.Wait()
		w.queue = nil
	}
}

// Close ends the watch and lets go of the sandbox. What it returns waits for that:
// the kernel takes milliseconds to forget watches, in which there is other work.
func (w *Watcher) Close() (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.stop()
		if w.inside != nil {
			w.inside.Close()
		}
	}()
	return func() { <-done }
}
