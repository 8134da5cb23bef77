package toolserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Server is a server that is being started, or runs.
type Server struct {
	Name   string
	Stream *os.File      // on which it speaks; for the gateway, and closed here then
	Answer time.Duration // how long one answer may take

	process *exec.Cmd
	events  *os.File
	gone    chan struct{}
}

// Command is a supervisor that runs the skill's server on its standard input and
// output, and says what happens at the descriptor.
type Command func(events string) *exec.Cmd

// Start starts a supervisor, in a session of its own: what is typed at the terminal is
// not for it. It ends when nobody holds the stream's other end any more: with the
// gateway, which ends with the agent and with its supervisor, however they end.
func Start(name string, answer time.Duration, command Command) (*Server, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "stream")
	defer theirs.Close()
	s := &Server{Name: name, Answer: answer, Stream: os.NewFile(uintptr(pair[0]), "stream"), gone: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		s.Stream.Close()
		return nil, err
	}
	defer w.Close()
	s.events, s.process = r, command("3")
	s.process.Stdin, s.process.Stdout, s.process.Stderr = theirs, theirs, nil
	s.process.ExtraFiles = []*os.File{w}
	s.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.process.Start(); err != nil {
		s.Stream.Close()
		r.Close()
		return nil, err
	}
	go func() {
		_ = s.process.Wait() // how it ended is in the record
		close(s.gone)
	}()
	return s, nil
}

// maxNews is how much a supervisor says before its sandbox runs.
const maxNews = 1 << 20

// event is what is needed of the lines that nacre run --json-events writes.
type event struct {
	Event, ID, Error, Hint string
}

// Ready waits until the sandbox runs, and says its id, or why it does not. It is for one
// caller, who leaves it at that once ctx is done.
func (s *Server) Ready(ctx context.Context) (string, error) {
	defer context.AfterFunc(ctx, func() { s.events.Close() })()
	id, err := s.news()
	return id, cmp.Or(ctx.Err(), err)
}

func (s *Server) news() (id string, err error) {
	lines := json.NewDecoder(io.LimitReader(s.events, maxNews))
	for {
		var e event
		if err := lines.Decode(&e); err != nil {
			return "", fault.New(fault.Unsupported, "the tool server %s cannot be started", s.Name).
				WithHint("nacre run --tool %s says why", s.Name)
		}
		switch e.Event {
		case "started":
			go func() { // what else there is to say is not for here, and must not block
				_, _ = io.Copy(io.Discard, s.events)
				s.events.Close()
			}()
			return e.ID, nil
		case "failed":
			return "", fault.Wrap(fault.Denied, errors.New(e.Error), "the tool server %s cannot be started", s.Name).WithHint("%s", e.Hint)
		}
	}
}

// lastWords is how long a supervisor may take to take its sandbox down.
const lastWords = 15 * time.Second

// Close waits until server and sandbox are gone. The stream's other end is to be
// closed before.
func (s *Server) Close() error {
	s.Stream.Close() // where nobody has taken it
	select {
	case <-s.gone:
		return nil
	case <-time.After(lastWords):
		_ = s.process.Process.Kill()
		<-s.gone
		return fault.New(fault.Leftover, "the supervisor of the tool server %s had to be killed", s.Name).WithHint("the next run takes away what it has left")
	}
}
