package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// resultFD is where the pipe for a result is put in a probe's process: high
// enough that it hides no descriptor which the sandbox leaked.
const resultFD = 60

// supervise runs each probe in a process of its own, so that one that is
// killed does not end the run.
func supervise(config wire.Config, source string) error {
	out := json.NewEncoder(os.Stdout)
	byID := map[string]probe{}
	for _, p := range probes() {
		byID[p.id] = p
	}
	for _, id := range config.Probes {
		p, ok := byID[id]
		if !ok {
			return fmt.Errorf("no probe is called %q", id)
		}
		if err := out.Encode(wire.Result{Probe: id, Verdict: wire.Started}); err != nil {
			return err
		}
		o := inChild(p, source)
		if err := out.Encode(wire.Result{Probe: id, Verdict: o.verdict, Evidence: o.evidence, Secret: o.secret}); err != nil {
			return err
		}
	}
	return nil
}

// inChild runs one probe in a child and reads its result, or says how it died.
func inChild(p probe, source string) outcome {
	r, w, err := resultPipe()
	if err != nil {
		return failed("no pipe: %v", err)
	}
	defer unix.Close(r)
	command := exec.Command(os.Args[0], "--config", source, "--probe", p.id, "--result-fd", strconv.Itoa(w))
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: !p.tty, Setpgid: p.tty}
	err = command.Start()
	unix.Close(w)
	if err != nil {
		return failed("the probe's process did not start: %v", err)
	}
	var late bool
	timer := time.AfterFunc(p.spec().Timeout, func() { late = true; syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
	answer := make(chan outcome, 1)
	go func() { answer <- readOutcome(r) }()
	err = command.Wait()
	timer.Stop()
	// What the probe started goes with it, unless it hid on purpose.
	syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	select {
	case o := <-answer:
		if o.verdict != "" {
			return o
		}
	case <-time.After(time.Second):
	}
	return died(err, late)
}

func died(err error, late bool) outcome {
	var exit *exec.ExitError
	switch {
	case late:
		return failed("no answer within the time")
	case errors.As(err, &exit):
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return contained("killed by %s", unix.SignalName(status.Signal()))
		}
		return failed("the probe's process ended with %v and no answer", err)
	}
	return failed("no answer")
}

func readOutcome(fd int) outcome {
	line, _ := bufio.NewReader(io.LimitReader(fdReader(fd), 64<<10)).ReadBytes('\n')
	var r wire.Result
	if json.Unmarshal(line, &r) != nil {
		return outcome{}
	}
	return outcome{r.Verdict, r.Evidence, r.Secret}
}

// fdReader reads a descriptor without handing it to Go's poller.
type fdReader int

func (fd fdReader) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func resultPipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, err
	}
	defer unix.Close(p[1])
	w, err = unix.FcntlInt(uintptr(p[1]), unix.F_DUPFD, resultFD)
	return p[0], w, err
}

// runProbe is the child's side.
func runProbe(config wire.Config, id, fd string) error {
	runtime.LockOSThread()
	number, err := strconv.Atoi(fd)
	if err != nil {
		return fmt.Errorf("--result-fd: %w", err)
	}
	unix.CloseOnExec(number)
	// Addresses go to the kernel as plain numbers: nothing may be collected.
	debug.SetGCPercent(-1)
	defaultSignals()
	for _, p := range probes() {
		if p.id != id {
			continue
		}
		o := p.run(&config, &p)
		line, err := json.Marshal(wire.Result{Probe: id, Verdict: o.verdict, Evidence: shorten(o.evidence), Secret: o.secret})
		if err != nil {
			return err
		}
		_, err = unix.Write(number, append(line, '\n'))
		return err
	}
	return fmt.Errorf("no probe is called %q", id)
}

func shorten(s string) string {
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return s
}
