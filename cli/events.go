package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/denials"
	"nacre/fault"
	"nacre/fault/advice"
	"nacre/jobs"
	"nacre/terminal"
)

// event is one line of --json-events.
type event struct {
	Time    time.Time   `json:"time"`
	Event   string      `json:"event"` // planned, warning, started, mask.added, mask.failed, mask.unwatched, audit.failed, ended, denied, guarded, planted, failed
	Name    string      `json:"name,omitempty"`
	Plan    string      `json:"plan,omitempty"` // digest
	Command []string    `json:"command,omitempty"`
	Detail  string      `json:"detail,omitempty"`
	ID      string      `json:"id,omitempty"`
	PID     int         `json:"pid,omitempty"`
	ScanMS  *float64    `json:"scan_ms,omitempty"` // of started: what looking for blocked names took
	Path    string      `json:"path,omitempty"`
	Error   string      `json:"error,omitempty"`
	Hint    string      `json:"hint,omitempty"`
	Exit    *nacre.Exit `json:"exit,omitempty"`
	Count   uint64      `json:"count,omitempty"`
	By      []string    `json:"by,omitempty"` // programs
}

// events writes them; a nil one writes nothing.
type events struct {
	mu   sync.Mutex
	f    *os.File
	lost error // why one could not be written
}

// openEvents opens the value of --json-events.
func openEvents(target string) (*events, error) {
	if target == "" {
		return nil, nil
	}
	if fd, err := strconv.Atoi(target); err == nil {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
			return nil, fault.New(fault.Usage, "--json-events: descriptor %d is not open for writing", fd).
				WithHint("open it in the shell: nacre run --json-events 3 … 3>events.jsonl; for a file of that name write ./%d", fd)
		}
		unix.CloseOnExec(fd)
		return &events{f: os.NewFile(uintptr(fd), "descriptor "+target)}, nil
	}
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "--json-events")
	}
	return &events{f: f}, nil
}

func (e *events) emit(v event) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v.Time = time.Now().UTC()
	line, err := json.Marshal(v)
	if err == nil {
		_, err = io.WriteString(e.f, string(line)+"\n")
	}
	e.lost = cmp.Or(e.lost, jobs.Lost(err)) // a reader that is gone must not end the run
}

// close ends the events. Where some could not be written, that is an error beside what
// the command failed with, and in place of how the program ended.
func (e *events) close(failed error) error {
	if e == nil {
		return failed
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.f.Fd() > 2 {
		e.lost = cmp.Or(e.lost, jobs.Lost(e.f.Close()))
	}
	if e.lost == nil {
		return failed
	}
	var ended status
	if errors.As(failed, &ended) {
		failed = nil
	}
	return errors.Join(failed, fault.Wrap(fault.Exhausted, e.lost, "--json-events: not all that happened could be written").
		WithHint("make room where it goes, or name another place"))
}

func (e *events) planned(p nacre.Plan) {
	e.emit(event{Event: "planned", Name: p.Name, Plan: p.Digest, Command: p.Command})
	for _, w := range p.Warnings {
		e.emit(event{Event: "warning", Name: w.Name, Detail: w.Detail})
	}
}

func (e *events) started(box nacre.Sandbox, scan time.Duration) {
	ms := float64(scan.Microseconds()) / 1000
	v := event{Event: "started", ID: box.ID(), ScanMS: &ms}
	if b, ok := box.(interface{ PID() int }); ok {
		v.PID = b.PID()
	}
	e.emit(v)
}

func (e *events) ended(exit nacre.Exit) { e.emit(event{Event: "ended", Exit: &exit}) }

func (e *events) failed(err error) {
	e.emit(event{Event: "failed", Error: err.Error(), Hint: advice.Of(err, "nacre run")})
}

func (e *events) planted(p planted) {
	detail := p.Severity.String() + ", " + string(p.Change) + ": " + p.Why
	e.emit(event{Event: "planted", Name: string(p.Kind), Path: p.path(), Detail: detail})
}

func (e *events) denied(d denials.Denial) {
	by := make([]string, len(d.Programs))
	for i, p := range d.Programs {
		by[i] = terminal.Clean(p)
	}
	e.emit(event{Event: "denied", Name: d.Subject, Count: d.Count, By: by, Detail: d.Reason, Hint: d.Remedy})
}

func (e *events) turned(a away) {
	e.emit(event{Event: "denied", Name: terminal.Clean(a.to), Count: uint64(a.count), Detail: terminal.Clean(a.reason), Hint: a.remedy})
}
