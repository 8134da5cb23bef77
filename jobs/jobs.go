// Package jobs keeps the commands of a running sandbox, as its supervisor sees
// them: it copies what goes in and comes out, and hears from inside how they
// began and ended. What a command gets of the host, its pipes, is made by the
// engine before; what comes from inside is believed about commands only.
package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// Table is the commands of one sandbox.
type Table struct {
	alive context.Context
	write func(out io.Writer, p []byte) (int, error)

	mu      sync.Mutex
	list    []*Job            // by number
	reason  string            // why the sandbox was ended from outside, if so
	outputs map[*os.File]bool // pipes being read
}

// New makes an empty table. All that comes out is passed on by write; alive is done a
// moment after the sandbox is gone.
func New(alive context.Context, write func(out io.Writer, p []byte) (int, error)) *Table {
	return &Table{alive: alive, write: write, outputs: map[*os.File]bool{}}
}

// Job is one command.
type Job struct {
	Number  int // 0 is the plan's
	table   *Table
	started chan error // nil, or why it could not be started
	ended   chan syscall.WaitStatus
	streams nacre.Streams
	copying sync.WaitGroup // its output
	lost    []error        // why some of it is
	master  *os.File       // of its terminal
}

// Places are where a command may be, by the PATH that it gets: for init, which
// tries them in turn.
func Places(command []string, workdir string, env []string) (places []string) {
	i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	if len(command) == 0 || i < 0 {
		return nil
	}
	for dir := range strings.SplitSeq(strings.TrimPrefix(env[i], "PATH="), ":") {
		if !path.IsAbs(dir) {
			dir = path.Join(workdir, dir)
		}
		places = append(places, path.Join(dir, command[0]))
	}
	return places
}

// Add makes the job of a command that is to be started with these streams.
func (t *Table) Add(s nacre.Streams) *Job {
	j := &Job{table: t, started: make(chan error, 1), ended: make(chan syscall.WaitStatus, 1), streams: s}
	t.mu.Lock()
	defer t.mu.Unlock()
	j.Number = len(t.list)
	t.list = append(t.list, j)
	return j
}

// job is the job of a number, nil if there is none.
func (t *Table) job(number int) *Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	if number < 0 || number >= len(t.list) {
		return nil
	}
	return t.list[number]
}

// Hear acts on one message and returns the descriptors that it did not take.
func (t *Table) Hear(m blueprint.Message, fds []int) []int {
	j := t.job(m.Job)
	if j == nil {
		return fds
	}
	switch m.Kind {
	case blueprint.Terminal:
		if len(fds) == 1 && j.master == nil && j.streams.TTY {
			j.terminal(fds[0])
			return nil
		}
	case blueprint.Started:
		offer(j.started, nil)
	case blueprint.Refused:
		offer(j.started, refusal(m))
	case blueprint.Ended:
		offer(j.ended, syscall.WaitStatus(m.Number))
	}
	return fds
}

// Blame notes why the sandbox is ended from outside; the first reason given is
// the one reported.
func (t *Table) Blame(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reason = cmp.Or(t.reason, reason)
}

// Lost ends every job that is still waited for, since nothing more is to be
// heard.
func (t *Table) Lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range t.list {
		if t.reason == "output-limit" { // what wrote had begun: we were quicker than the news
			offer(j.started, nil)
		}
		offer(j.started, error(fault.New(fault.Command, "the sandbox ended before the command started")))
		close(j.ended)
	}
	t.list = nil
}

// offer sends without waiting: a hostile init that repeats itself is ignored.
func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// Started returns once the command has been started, or with the reason why
// it could not be.
func (j *Job) Started() error { return <-j.started }

// Ended returns once the command has ended. Known is false where nobody says
// how: init was killed, by us or for want of memory.
func (j *Job) Ended() (status syscall.WaitStatus, known bool) {
	status, known = <-j.ended
	return status, known
}

// Exit renders how a command ended as docker run does: its exit code, or 128
// and its signal.
func Exit(status syscall.WaitStatus, known bool) nacre.Exit {
	switch {
	case !known:
		return nacre.Exit{Code: 128 + int(unix.SIGKILL), Signal: int(unix.SIGKILL), Reason: "killed"}
	case status.Signaled():
		return nacre.Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal()), Reason: "signalled"}
	}
	return nacre.Exit{Code: status.ExitStatus(), Reason: "exited"}
}

// Because completes how a command ended with what it does not know itself: why the
// sandbox was ended, and that processes were killed for want of memory, itself perhaps.
func (t *Table) Because(e nacre.Exit, usage func() (nacre.Usage, error)) nacre.Exit {
	if u, err := usage(); err == nil && u.OOMKills > 0 {
		e.OOMKills = u.OOMKills
		if e.Signal == int(unix.SIGKILL) {
			e.Reason = "memory-limit"
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Reason = cmp.Or(t.reason, e.Reason)
	return e
}

// Details are what the record of an end says of it.
func Details(e nacre.Exit) map[string]string {
	details := map[string]string{"code": strconv.Itoa(e.Code), "reason": e.Reason}
	if e.OOMKills > 0 {
		details["oom_kills"] = strconv.FormatInt(e.OOMKills, 10)
	}
	return details
}

// Unsent explains why init could not be told to start a command: mostly because all of it
// is too long.
func Unsent(m blueprint.Message, err error) error {
	if b, bad := json.Marshal(m); bad == nil && len(b) > blueprint.MaxMessage {
		return fault.New(fault.Command, "cannot start %s: the command and its environment are too long: %d bytes together, as they are passed on; %d are the most",
			m.Command[0], len(b), blueprint.MaxMessage).
			WithHint("put what is long into a file and grant that with --files, or give it on standard input")
	}
	return fault.Wrap(fault.Command, err, "cannot start %s", m.Command[0])
}

// refusal explains why a command could not be started.
func refusal(m blueprint.Message) error {
	switch errno := syscall.Errno(m.Number); errno {
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
