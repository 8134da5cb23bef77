package native

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// job is a command that runs in the sandbox; number 0 is the plan's.
type job struct {
	number  int
	started chan error // nil, or why it could not be started
	ended   chan syscall.WaitStatus
	streams nacre.Streams
	copying sync.WaitGroup // its output
	master  *os.File       // of its terminal
}

// begin starts the plan's command and everything that watches it.
func (b *box) begin(s nacre.Streams) error {
	b.ended = make(chan struct{})
	b.heard = make(chan struct{})
	go b.listen()
	j, err := b.run(b.plan.Command, s)
	if err != nil {
		return err
	}
	if b.watchdog != nil {
		go func() { _ = b.watchdog.Run(b.alive) }()
	}
	timer := time.AfterFunc(b.plan.Limits.Time, func() {
		b.because("timeout")
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

// run starts one command and connects its streams.
func (b *box) run(command []string, s nacre.Streams) (*job, error) {
	j := &job{started: make(chan error, 1), ended: make(chan syscall.WaitStatus, 1), streams: s}
	b.mu.Lock()
	j.number = len(b.jobs)
	b.jobs = append(b.jobs, j)
	b.mu.Unlock()
	m := blueprint.Message{Kind: blueprint.Run, Job: j.number, Command: command, TTY: s.TTY, Rows: s.Size.Rows, Columns: s.Size.Columns, Workdir: b.plan.Workdir, Env: b.environ()}
	files, err := b.connect(j)
	var fds []int
	for _, f := range files {
		defer f.Close()
		fds = append(fds, int(f.Fd()))
	}
	if err == nil {
		err = b.send(m, fds...)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Command, err, "cannot start %s", command[0])
	}
	return j, <-j.started
}

// listen is told what happens inside. Once the agent runs, nothing that comes
// from there is believed beyond the sandbox itself.
func (b *box) listen() {
	defer close(b.heard)
	for {
		m, fds, err := blueprint.Receive(b.process.Control)
		if err != nil {
			b.lost()
			return
		}
		if j := b.job(m.Job); j != nil {
			fds = b.told(j, m, fds)
		}
		blueprint.CloseAll(fds)
	}
}

// job is the job of a number, nil if there is none.
func (b *box) job(number int) *job {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number < 0 || number >= len(b.jobs) {
		return nil
	}
	return b.jobs[number]
}

// told acts on one message and returns the descriptors that it did not take.
func (b *box) told(j *job, m blueprint.Message, fds []int) []int {
	switch m.Kind {
	case blueprint.Terminal:
		if len(fds) == 1 && j.master == nil && j.streams.TTY {
			b.terminal(j, fds[0])
			return nil
		}
	case blueprint.Started:
		offer(j.started, nil)
	case blueprint.Refused:
		offer(j.started, refusal(m))
	case blueprint.Ended:
		offer(j.ended, syscall.WaitStatus(m.Status))
	}
	return fds
}

// offer sends without waiting: a hostile init that repeats itself is ignored.
func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// lost ends every job that was still waited for.
func (b *box) lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range b.jobs {
		if b.reason == "output-limit" { // it wrote, so it had started: we were quicker than the news
			offer(j.started, nil)
		}
		offer(j.started, error(fault.New(fault.Command, "the sandbox ended before the command started")))
		close(j.ended)
	}
	b.jobs = nil
}

// refusal explains why a command could not be started.
func refusal(m blueprint.Message) error {
	switch errno := syscall.Errno(m.Errno); errno {
	case unix.ENOENT:
		return fault.New(fault.Missing, "command not found in the sandbox").
			WithHint("it, or the interpreter in its first line, is not among the folders that the plan grants; nacre plan shows them")
	case unix.EACCES:
		return fault.New(fault.Command, "the command is not executable in the sandbox").
			WithHint("check its mode (chmod +x) and that the folder it lies in is granted")
	case unix.ENOEXEC:
		return fault.New(fault.Command, "the command is not a program of this machine: wrong architecture, or a script without #! line")
	case 0:
		return fault.New(fault.Command, "the command cannot be started: %.200s", m.Error)
	default:
		return fault.Wrap(fault.Command, errno, "the command cannot be started")
	}
}

// Exec runs another command under the same confinement, until ctx is done.
func (b *box) Exec(ctx context.Context, command []string, s nacre.Streams) (nacre.Exit, error) {
	if len(command) == 0 {
		return nacre.Exit{}, fault.New(fault.Usage, "there is no command to run")
	}
	event := b.event("sandbox.exec", nacre.Allow, "the owner asked", map[string]string{"command": command[0]})
	if err := b.engine.Audit.Record(ctx, event); err != nil {
		return nacre.Exit{}, err
	}
	j, err := b.run(command, s)
	if err != nil {
		return nacre.Exit{}, err
	}
	defer context.AfterFunc(ctx, func() {
		_ = b.send(blueprint.Message{Kind: blueprint.Signal, Job: j.number, Number: int(unix.SIGKILL)})
	})()
	status, known := <-j.ended
	j.copying.Wait()
	return b.exitOf(status, known), nil
}

// finish waits for the plan's command and takes everything away.
func (b *box) finish(j *job) {
	status, known := <-j.ended
	if b.group != nil {
		b.group.Leave()
	}
	_ = b.process.End() // told again by release
	b.hurry()
	j.copying.Wait()
	b.exit = b.exitOf(status, known)
	b.err = errors.Join(b.settle(), b.release())
	detail := map[string]string{"code": strconv.Itoa(b.exit.Code), "reason": b.exit.Reason}
	if b.err != nil {
		detail["leftover"] = b.err.Error()
	}
	event := b.event("sandbox.end", nacre.Allow, b.exit.Reason, detail)
	b.err = errors.Join(b.err, b.engine.Audit.Record(context.Background(), event))
}

// release ends what still runs and gives back all that the sandbox held. Its
// entry stays where that failed, so that a later run tries again.
func (b *box) release() error {
	unwatched := b.watcher.Close()
	var err error
	if b.process != nil {
		err = b.process.End()
		b.hangUp()
	}
	if b.gateway != nil { // before its group, or it would seem to have died
		err = errors.Join(err, b.gateway.Close())
	}
	if b.group != nil {
		err = errors.Join(err, b.group.Destroy())
	}
	unwatched() // it reads what is held
	for _, h := range b.held {
		_ = h.Close()
	}
	if b.entry != nil && err == nil {
		err = b.entry.Close()
	}
	if err != nil {
		return fault.Wrap(fault.Leftover, err, "sandbox %s could not be torn down completely", b.id)
	}
	return nil
}

// send tells init something. After the end there is no one to tell, and the
// socket's number may be another's.
func (b *box) send(m blueprint.Message, fds ...int) error {
	b.line.RLock()
	defer b.line.RUnlock()
	if b.closed {
		return blueprint.ErrClosed
	}
	return blueprint.Send(b.process.Control, m, fds...)
}

// hangUp closes the control socket of an init that is gone.
func (b *box) hangUp() {
	if b.heard != nil {
		<-b.heard
	}
	b.line.Lock()
	defer b.line.Unlock()
	b.closed = true
	unix.Close(b.process.Control)
}

// abandon undoes a start that failed, and has the failure recorded.
func (b *box) abandon(cause error) error {
	b.leave()
	left := errors.Join(b.settle(), b.release())
	if b.recorded != nil {
		<-b.recorded // closed, or about to be
	}
	if b.entry != nil {
		event := b.event("sandbox.refused", nacre.Deny, cause.Error(), nil)
		_ = b.engine.Audit.Record(context.Background(), event)
	}
	if left != nil {
		return errors.Join(cause, left)
	}
	return cause
}
