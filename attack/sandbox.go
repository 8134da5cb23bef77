package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"nacre/attack/wire"
)

// How much output is taken from a run that is not about output, and how long
// after the end of a sandbox its output may stay open.
const (
	usualOutput = 8 << 20
	floodOutput = 512 << 20
	drainTime   = 3 * time.Second
	killGrace   = 5 * time.Second
)

// ran is what came out of one sandbox.
type ran struct {
	*collector
	state     string      // how the command ended
	succeeded bool        // it ended with exit code 0
	unchanged error       // why the outside could not change what it was to change
	late      atomic.Bool // the judge ended it
	heldOpen  atomic.Bool // its output stayed open after its end
	tail      tail
	alive     []process
}

func (r *ran) progressed() bool { return len(r.collector.started) > 0 }

func (r *ran) ending() string {
	text := r.state
	if r.late.Load() {
		text += ", ended by the judge"
	}
	if t := strings.TrimSpace(string(r.tail.text)); t != "" {
		text += ": " + clean(t)
	}
	return text
}

// tail counts standard error and keeps its end.
type tail struct {
	text         []byte
	bytes, limit int64
}

func (t *tail) Write(b []byte) (int, error) {
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-600):]
	if t.bytes += int64(len(b)); t.bytes > t.limit {
		return len(b), io.ErrShortWrite
	}
	return len(b), nil
}

// runIn runs the probes in one sandbox and reads what comes out.
func (w *world) runIn(ctx context.Context, specs []wire.Spec) *ran {
	limit, budget := int64(usualOutput), 30*time.Second
	terminal := false
	for _, s := range specs {
		if s.Proof == wire.ByOutput {
			limit = floodOutput
		}
		terminal = terminal || s.Terminal
		budget += s.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, min(budget, 10*time.Minute))
	defer cancel()
	r := &ran{collector: newCollector(specs, limit, escapeMarker(w.config.Run)), tail: tail{limit: limit}}
	changed := w.changing(specs, r.collector)
	argv, err := w.argv(specs)
	if err == nil {
		err = w.execute(ctx, argv, terminal, r)
	}
	r.unchanged = changed()
	if err != nil {
		r.state = err.Error()
	}
	r.alive = w.survivors()
	return r
}

// argv writes the config for these probes and makes the command.
func (w *world) argv(specs []wire.Spec) ([]string, error) {
	config := w.config
	config.Probes = nil
	for _, s := range specs {
		config.Probes = append(config.Probes, s.ID)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	w.runs++
	name := fmt.Sprintf("%s/config-%d.json", deliveryFolder, w.runs)
	if err := os.WriteFile(filepath.Join(w.folder, name), data, 0o644); err != nil {
		return nil, err
	}
	inside := config.Folder
	command := w.options.Command
	if w.networked(specs[0]) {
		command = w.network
	}
	return command([]string{inside + "/" + deliveryFolder + "/nacre-attack", "--config", "@" + inside + "/" + name}, w.folder), nil
}

// execute starts the sandbox the way a careless user would: from a folder with
// secrets, with open descriptors and a secret in the environment.
func (w *world) execute(ctx context.Context, argv []string, terminal bool, r *ran) error {
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = w.outside
	command.Env = append(os.Environ(), w.environment...)
	command.ExtraFiles = w.inherit
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, errs, done, err := w.streams(command, terminal)
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		done()
		closeAll(out, errs)
		return err
	}
	done()
	ctx, tooMuch := context.WithCancel(ctx)
	defer tooMuch()
	var reading sync.WaitGroup
	drain := func(to io.Writer, from *os.File) {
		if _, err := io.Copy(to, from); err == io.ErrShortWrite {
			tooMuch()
			io.Copy(io.Discard, from)
		}
	}
	reading.Go(func() { drain(r.collector, out) })
	if errs != nil {
		reading.Go(func() { drain(&r.tail, errs) })
	}
	ended := make(chan struct{})
	reading.Go(func() { r.stopWhen(ctx, command.Process.Pid, ended) })
	command.Wait()
	close(ended)
	r.state, r.succeeded = command.ProcessState.String(), command.ProcessState.Success()
	// Closing the near ends unblocks readers whose far ends somebody holds.
	timer := time.AfterFunc(drainTime, func() { r.heldOpen.Store(true); closeAll(out, errs) })
	reading.Wait()
	timer.Stop()
	closeAll(out, errs)
	return nil
}

// stopWhen ends the command's process group when the context is done first.
func (r *ran) stopWhen(ctx context.Context, pid int, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	r.late.Store(true)
	syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(killGrace):
		syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// streams gives a command its input and outputs and answers the near ends, and
// what to close once the command has them.
func (w *world) streams(command *exec.Cmd, terminal bool) (out, errs *os.File, done func(), err error) {
	if terminal {
		near, far, _, err := openTerminal()
		if err != nil {
			return nil, nil, nil, err
		}
		command.Stdin, command.Stdout, command.Stderr = far, far, far
		command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		return near, nil, func() { far.Close() }, nil
	}
	in, err := os.Open(w.stdin)
	if err != nil {
		return nil, nil, nil, err
	}
	out, farOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, nil, nil, err
	}
	errs, farErr, err := os.Pipe()
	if err != nil {
		closeAll(in, out, farOut)
		return nil, nil, nil, err
	}
	command.Stdin, command.Stdout, command.Stderr = in, farOut, farErr
	return out, errs, func() { closeAll(in, farOut, farErr) }, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
