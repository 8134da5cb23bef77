package native

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/jobs"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/watchdog"
)

// begin starts the plan's command and everything that watches it.
func (b *box) begin(s nacre.Streams) error {
	b.ended, b.heard = make(chan struct{}), make(chan struct{})
	go b.listen()
	j, err := b.run(b.plan.Command, s)
	if err != nil {
		return err
	}
	if b.group == nil {
		b.watchdog = &watchdog.Watchdog{Init: b.process.PID, Limits: b.plan.Limits, Every: 100 * time.Millisecond, Kill: b.end}
		go func() { _ = b.watchdog.Run(b.alive) }()
	}
	timer := time.AfterFunc(b.plan.Limits.Time, func() {
		b.jobs.Blame("timeout")
		_ = b.Stop(graceAtTimeout)
	})
	go func() {
		b.finish(j)
		timer.Stop()
		b.leave()
		close(b.ended)
	}()
	return nil
}

// graceAtTimeout is how long a command has to end by itself when its time is
// up.
const graceAtTimeout = 2 * time.Second

// run starts one command.
func (b *box) run(command []string, s nacre.Streams) (*jobs.Job, error) {
	j := b.jobs.Add(s)
	m := blueprint.Message{Kind: blueprint.Run, Job: j.Number, Command: command, Workdir: b.plan.Workdir, Env: b.environ(), TTY: s.TTY}
	m.Size, m.Places = unix.Winsize{Row: s.Size.Rows, Col: s.Size.Columns}, jobs.Places(command, m.Workdir, m.Env)
	var fds []int
	var err error
	if !s.TTY {
		fds, err = pipes(j)
	}
	defer blueprint.CloseAll(fds)
	if err == nil {
		err = b.send(m, fds...)
	}
	if err != nil {
		return nil, jobs.Unsent(m, err)
	}
	return j, j.Started()
}

// pipes makes what a job has for its streams. The agent never holds a
// descriptor of the host's: a pipe carries bytes and nothing else.
func pipes(j *jobs.Job) (theirs []int, err error) {
	for descriptor := range 3 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return theirs, err
		}
		side := min(descriptor, 1) // theirs: of the first what is read, of the others what is written
		theirs = append(theirs, p[side])
		j.Connect(descriptor, p[1-side])
	}
	return theirs, nil
}

// listen is told what happens inside. Once the agent runs, nothing that comes
// from there is believed beyond the sandbox itself.
func (b *box) listen() {
	defer close(b.heard)
	socket := int(b.process.Control.Fd())
	for m, fds, err := blueprint.Receive(socket); err == nil; m, fds, err = blueprint.Receive(socket) {
		blueprint.CloseAll(b.jobs.Hear(m, fds))
	}
	b.jobs.Lost()
}

// output passes on what jobs write until the plan's limit over all of them is reached;
// then the sandbox is ended.
func (b *box) output(out io.Writer, p []byte) (int, error) {
	b.mu.Lock()
	n := min(int64(len(p)), max(b.plan.Limits.Output-b.written, 0))
	b.written += n
	b.mu.Unlock()
	if n > 0 {
		if _, err := out.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if n < int64(len(p)) {
		b.end("output-limit")
	}
	return len(p), nil // swallow the rest, so that nothing blocks while it dies
}

// Exec runs another command under the same confinement, until ctx is done.
func (b *box) Exec(ctx context.Context, command []string, s nacre.Streams) (nacre.Exit, error) {
	if len(command) == 0 {
		return nacre.Exit{}, fault.New(fault.Usage, "there is no command to run")
	}
	if err := b.record(ctx, "sandbox.exec", nacre.Allow, "the owner asked", map[string]string{"command": quoted(command)}); err != nil {
		return nacre.Exit{}, err
	}
	j, err := b.run(command, s)
	if err != nil {
		return nacre.Exit{}, err
	}
	defer context.AfterFunc(ctx, func() {
		_ = b.send(blueprint.Message{Kind: blueprint.Signal, Job: j.Number, Number: int(unix.SIGKILL)})
	})()
	exit := jobs.Exit(j.Ended())
	lost := j.Copied()
	return b.jobs.Because(exit, b.group.Usage), lost
}

// lastScreen is how long a terminal may take to show what it still holds.
const lastScreen = 500 * time.Millisecond

// finish waits for the plan's command and takes everything away.
func (b *box) finish(j *jobs.Job) {
	exit := jobs.Exit(j.Ended())
	b.group.Leave()
	_ = b.process.End() // told again by release
	b.jobs.Hurry()
	time.AfterFunc(lastScreen, b.leave)
	lost := j.Copied()
	b.exit = b.jobs.Because(exit, b.group.Usage)
	var unrecorded error
	b.err = b.release(func() {
		unrecorded = b.record(context.Background(), "sandbox.end", nacre.Allow, b.exit.Reason, jobs.Details(b.exit))
	})
	if b.err != nil {
		b.err = errors.Join(b.err, b.deny("sandbox.leftover", "not torn down completely", map[string]string{"leftover": b.err.Error()}))
	}
	b.err = errors.Join(b.err, unrecorded, lost)
}

// release ends what still runs, and waits until all that was denied is counted and
// recorded; then nothing more can happen, and while that is recorded it gives back all
// that the sandbox held. Its entry stays where that failed, so that a later run tries
// again.
func (b *box) release(record func()) error {
	var err, uncounted error
	if b.process != nil {
		if err = b.process.End(); err == nil { // else there may be more
			uncounted = b.denied.Close()
		}
		if b.heard != nil {
			<-b.heard
		}
		err = errors.Join(err, b.process.Control.Close())
	}
	unwatched := b.watcher.Close()
	if b.gateway != nil { // before its group, or it would seem to have died
		err = errors.Join(err, b.gateway.Close())
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { unwatched(); record() }) // it may have had something to record
	beside.Go(func() {
		unwatched() // it reads what is held
		for _, h := range b.held {
			_ = h.Close()
		}
	})
	err = errors.Join(err, b.group.Destroy())
	if b.entry != nil && err == nil {
		err = b.entry.Close()
	}
	if err != nil {
		err = fault.Wrap(fault.Leftover, err, "sandbox %s could not be torn down completely", b.id)
	}
	return errors.Join(uncounted, err)
}

// send tells init something. After the end there is no one to tell, and the
// socket's number may be another's: it is only used while it is open.
func (b *box) send(m blueprint.Message, fds ...int) (err error) {
	socket, closed := b.process.Control.SyscallConn()
	if closed == nil {
		closed = socket.Control(func(fd uintptr) { err = blueprint.Send(int(fd), m, fds...) })
	}
	return errors.Join(closed, err)
}

// abandon undoes a start that failed, and has the failure recorded.
func (b *box) abandon(cause error) error {
	b.leave()
	left := b.release(func() {})
	if b.recorded != nil {
		_ = b.recorded() // first things first
	}
	_ = b.deny("sandbox.refused", cause.Error(), nil)
	return errors.Join(cause, left)
}
