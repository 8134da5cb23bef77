package pool

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

// request is what a pool says to a member: the plan first, then start, then
// what concerns the sandbox.
type request struct {
	Plan   *nacre.Plan   `json:"plan,omitempty"`
	Caller nacre.Caller  `json:"caller"`       // with the plan
	Do     string        `json:"do,omitempty"` // "start", "signal", "stop", "usage", "posture"
	Signal int           `json:"signal,omitempty"`
	Grace  time.Duration `json:"grace,omitempty"`
}

// reply answers each request in turn. One more comes by itself, at the end.
type reply struct {
	ID      string              `json:"id,omitempty"`
	Kind    fault.Kind          `json:"kind,omitempty"`
	Error   string              `json:"error,omitempty"`
	Hint    string              `json:"hint,omitempty"`
	Exit    *nacre.Exit         `json:"exit,omitempty"` // the end
	Usage   nacre.Usage         `json:"usage"`
	Posture []nacre.Expectation `json:"posture,omitempty"`
}

func (r reply) err() error {
	if r.Error == "" {
		return nil
	}
	return &fault.Fault{Kind: r.Kind, What: r.Error, Hint: r.Hint}
}

// member is a process with a sandbox, seen from the pool; once started, it is
// the sandbox.
type member struct {
	id, plan string
	process  *exec.Cmd
	line     *os.File
	asking   sync.Mutex
	answers  chan reply
	ended    chan reply
	once     sync.Once

	in, out, errs *os.File // our ends
	copying       sync.WaitGroup
	exit          func() (nacre.Exit, error)
}

// newMember starts a process and has it build a plan's sandbox.
func newMember(c *exec.Cmd, caller nacre.Caller, plan nacre.Plan) (*member, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	m := &member{plan: plan.Digest, process: c, line: os.NewFile(uintptr(pair[0]), "pool"), answers: make(chan reply), ended: make(chan reply, 1)}
	m.exit = sync.OnceValues(m.wait)
	theirs := []*os.File{os.NewFile(uintptr(pair[1]), "member")}
	for _, end := range []struct {
		ours *(*os.File)
		in   bool
	}{{&m.in, false}, {&m.out, true}, {&m.errs, true}} {
		r, w, e := os.Pipe()
		err = errors.Join(err, e)
		if end.in {
			r, w = w, r
		}
		*end.ours, theirs = w, append(theirs, r)
	}
	if err == nil {
		c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = theirs[1], theirs[2], theirs[3], theirs[:1]
		if c.SysProcAttr == nil {
			c.SysProcAttr = &syscall.SysProcAttr{}
		}
		c.SysProcAttr.Setpgid = true // what is typed at a terminal is not for it
		err = c.Start()
	}
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		m.end()
		return nil, err
	}
	go m.listen()
	r, err := m.ask(request{Plan: &plan, Caller: caller})
	if m.id = r.ID; err != nil {
		m.end()
		return nil, err
	}
	return m, nil
}

// listen hands out what the member says.
func (m *member) listen() {
	d := json.NewDecoder(m.line)
	for {
		var r reply
		if err := d.Decode(&r); err != nil {
			close(m.answers)
			close(m.ended)
			return
		}
		if r.Exit != nil {
			m.ended <- r
		} else {
			m.answers <- r
		}
	}
}

func (m *member) ask(r request) (reply, error) {
	m.asking.Lock()
	defer m.asking.Unlock()
	if err := json.NewEncoder(m.line).Encode(r); err != nil {
		return reply{}, gone(err)
	}
	answer, ok := <-m.answers
	if !ok {
		return reply{}, gone(io.ErrUnexpectedEOF)
	}
	return answer, answer.err()
}

func gone(err error) error {
	return fault.Wrap(fault.Conflict, err, "the sandbox's supervisor is gone")
}

// start has the sandbox used, and connects its streams.
func (m *member) start(s nacre.Streams) error {
	if _, err := m.ask(request{Do: "start"}); err != nil {
		return err
	}
	if s.In != nil {
		go func() { _, _ = io.Copy(m.in, s.In); m.in.Close() }()
	} else {
		m.in.Close()
	}
	for from, to := range map[*os.File]io.Writer{m.out: s.Out, m.errs: s.Err} {
		if to == nil {
			to = io.Discard
		}
		m.copying.Go(func() { _, _ = io.Copy(to, from) })
	}
	return nil
}

// end takes the member away, whatever it does: it sees that its line is closed.
func (m *member) end() {
	m.once.Do(func() {
		for _, f := range []*os.File{m.line, m.in, m.out, m.errs} {
			if f != nil {
				f.Close()
			}
		}
		if m.process.Process != nil {
			_ = m.process.Wait()
		}
	})
}

// ID is the sandbox's identifier.
func (m *member) ID() string { return m.id }

// Wait returns when the command has ended and everything is torn down.
func (m *member) Wait() (nacre.Exit, error) { return m.exit() }

func (m *member) wait() (nacre.Exit, error) {
	r, ok := <-m.ended
	if !ok {
		m.end()
		return nacre.Exit{}, gone(io.ErrUnexpectedEOF)
	}
	m.copying.Wait()
	go m.end() // nothing of the sandbox is left that would have to be waited for
	return *r.Exit, r.err()
}

// Signal sends a signal to the command.
func (m *member) Signal(number int) error {
	_, err := m.ask(request{Do: "signal", Signal: number})
	return err
}

// Stop asks the command to end, and kills all after the grace.
func (m *member) Stop(grace time.Duration) error {
	_, err := m.ask(request{Do: "stop", Grace: grace})
	return err
}

// Usage is what it uses now.
func (m *member) Usage() (nacre.Usage, error) {
	r, err := m.ask(request{Do: "usage"})
	return r.Usage, err
}

// Posture reads back what holds now.
func (m *member) Posture() ([]nacre.Expectation, error) {
	r, err := m.ask(request{Do: "posture"})
	return r.Posture, err
}

// Resize does nothing: there is no terminal.
func (m *member) Resize(nacre.Window) error { return nil }

// Exec is what the sandbox's own control socket is for.
func (m *member) Exec(context.Context, []string, nacre.Streams) (nacre.Exit, error) {
	return nacre.Exit{}, fault.New(fault.Unsupported, "no second command goes through a pool").WithHint("nacre exec %s", m.id)
}
