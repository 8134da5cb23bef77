package native

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/denials"
	"nacre/fault"
	"nacre/jobs"
	"nacre/runs"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/cgroup"
	"nacre/sandbox/watchdog"
	"nacre/watch"
)

// box is a sandbox from its plan to its end.
type box struct {
	engine  *Engine
	plan    nacre.Plan // with room for init in its limits
	id      string
	like    nacre.Event // what all of its records say
	started time.Time

	entry     *runs.Entry
	recorded  func() error // the audit's answer to the start record
	mapping   sandbox.Mapping
	spec      blueprint.Spec
	files     []*os.File  // handed to init
	held      []io.Closer // closed at the end
	group     *cgroup.Group
	watchdog  *watchdog.Watchdog
	watcher   *watch.Watcher // of granted folders
	process   *sandbox.Process
	facts     map[string]string   // what init found out
	host      []sandbox.Mount     // the host's, when the folders were pinned
	view      view                // what it shows of the host
	gateway   Gateway             // nil: there is no way out
	variables []nacre.Variable    // that tell of it
	captured  []nacre.Expectation // what was found when they were tried
	denied    *denials.Tally
	silent    string // why denied calls are not reported, if so

	jobs    *jobs.Table
	mu      sync.Mutex
	written int64 // bytes so far

	heard chan struct{} // closed once nothing more is to be heard

	alive context.Context // done a moment after the sandbox is gone
	leave context.CancelFunc
	ended chan struct{} // closed once everything is torn down
	exit  nacre.Exit
	err   error
}

// ID is the sandbox's identifier.
func (b *box) ID() string { return b.id }

// PID is the process id of its first process.
func (b *box) PID() int { return b.process.PID }

// limit makes the control group, or accepts that there is none. Its record was
// planned, and stored, before.
func (b *box) limit(ctx context.Context) (err error) {
	b.group, err = cgroup.New(ctx, b.id, b.plan.Limits)
	if fault.KindOf(err) == fault.Unsupported && b.plan.Accepts(nacre.TierWatchdog) {
		return nil
	}
	return err
}

// launch starts init in its namespaces.
func (b *box) launch(ctx context.Context) (err error) {
	if b.process, err = sandbox.Launch(sandbox.Order{Init: b.engine.Init, Spec: func() ([]byte, error) { return b.furnished(ctx) }, Files: b.files, Map: b.mapping, Regroup: b.spec.Regroup, Born: b.group.Born}); err != nil {
		return err
	}
	go func() { _ = b.group.Settled() }() // verify hears of it
	// The kernel takes mounts away with their last user. That is us, for whom init's end then waits no longer.
	if mounts, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", b.process.PID)); err == nil { // else it has ended, and says why
		b.held = append(b.held, mounts)
	}
	b.entry.Record.Init = b.process.PID
	return b.entry.Save()
}

// setupTime is how long building may take before it counts as stuck.
const setupTime = 30 * time.Second

// await waits until init says that it is confined.
func (b *box) await(context.Context) error {
	late := time.AfterFunc(setupTime, func() { _ = b.process.Kill() })
	defer late.Stop()
	for {
		m, fds, err := blueprint.Receive(int(b.process.Control.Fd()))
		maps.Copy(b.facts, m.Facts)
		switch {
		case err != nil:
			return fault.Wrap(fault.Unsupported, err, "the sandbox's first process ended while it was built")
		case m.Kind == blueprint.Failed:
			return fault.New(fault.Unsupported, "the sandbox cannot be built: %s: %s", m.Layer, m.Error)
		case m.Kind == blueprint.Opened && b.gateway != nil && len(fds) == len(b.spec.Sockets):
			if b.captured, err = b.gateway.Serve(fds); err != nil {
				return err
			}
		case m.Kind == blueprint.Listener && len(fds) < 2:
			b.filtered(m, fds)
		case m.Kind == blueprint.Confined:
			return nil
		default:
			blueprint.CloseAll(fds)
			return fault.New(fault.Internal, "unexpected message %q while building", m.Kind)
		}
	}
}

// Denials is what was denied so far. Where the kernel reports no denied calls,
// silent says why.
func (b *box) Denials() (list []denials.Denial, silent string) { return b.denied.List(), b.silent }

// verify compares what holds with what must.
func (b *box) verify(context.Context) error {
	if err := b.group.Settled(); err != nil {
		return err
	}
	for _, l := range b.posture() {
		if !l.OK {
			return fault.New(fault.Tampered, "the boundary is not as planned: %s, %s: expected %s, found %s",
				l.Layer, l.Item, l.Expected, l.Found).WithHint("this is refused rather than run; nacre doctor says what this machine lacks")
		}
	}
	return nil
}

// keepMasked starts the watch.
func (b *box) keepMasked(ctx context.Context) error {
	return b.watcher.Start(ctx, watch.Options{PID: b.process.PID, Nested: b.spec.Nested, Freezer: b.group.Freezer(), Record: b.deny, End: b.end})
}

// Signal sends a signal to the command.
func (b *box) Signal(signal int) error {
	return b.send(blueprint.Message{Kind: blueprint.Signal, Number: signal})
}

// Stop asks the command to end, and kills everything after the grace.
func (b *box) Stop(grace time.Duration) error {
	if err := b.Signal(int(unix.SIGTERM)); err != nil {
		b.end("stopped")
	}
	select {
	case <-b.ended:
	case <-time.After(grace):
		b.end("stopped")
		<-b.ended
	}
	return b.err
}

// end kills the sandbox, also a frozen one.
func (b *box) end(reason string) {
	b.jobs.Blame(reason)
	_, _ = b.process.Kill(), b.group.Kill() // its end tells what is left
}

// Wait returns once everything is torn down.
func (b *box) Wait() (nacre.Exit, error) {
	<-b.ended
	return b.exit, b.err
}

// Usage is what the sandbox uses now.
func (b *box) Usage() (u nacre.Usage, err error) {
	if u, err = b.group.Usage(); b.watchdog != nil {
		u = b.watchdog.Usage()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u.Started, u.Output, u.Scan = b.started, b.written, b.watcher.Took
	return u, err
}
