package cli

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/acp"
	"nacre/fault"
	"nacre/terminal"
)

// parting is how long an agent may take to end once its editor has left, and again
// once it is asked to.
const parting = 2 * time.Second

// conversation is a session with a bridge at its streams.
type conversation struct {
	*session
	bridge acp.Bridge
	left   context.Context // done once the editor has left
	leave  context.CancelFunc
	ended  chan struct{} // closed once the session has
	failed chan error    // what either side said that is not to be borne

	said *io.PipeReader // what the agent says
	out  *io.PipeWriter // into that
	in   *io.PipeWriter // what the agent is to hear
}

// converse runs the session. It ends when the agent does, when either side says what is
// not to be borne, and soon after the editor has left or has had us told to end, whatever
// the agent does.
func converse(ctx context.Context, s *session, folders []string) error {
	hear, in := io.Pipe()
	said, out := io.Pipe()
	c := &conversation{session: s, ended: make(chan struct{}), failed: make(chan error, 2), said: said, out: out, in: in}
	c.bridge = acp.Bridge{Editor: s.app.Out, Agent: speaking{in}, Folders: folders, Told: func(what string) { s.app.note("%s", what) }}
	told, untold := signal.NotifyContext(ctx, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	defer untold()
	c.left, c.leave = context.WithCancel(told)
	defer c.leave()
	errs, over := terminal.Guarded(s.app.Err)
	defer over()
	s.given, s.ready = &nacre.Streams{In: hearing{hear}, Out: out, Err: errs}, make(chan struct{})
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		c.hearAgent()
	}()
	go c.hearEditor()
	go c.part()
	exit, err := s.run(ctx)
	close(c.ended)
	out.Close()
	hear.Close()
	c.finish(heard)
	select {
	case e := <-c.failed:
		err = e
	default:
	}
	if err != nil {
		return err
	}
	return statusCode(exit)
}

// finish waits until what the agent said is written, for as long as somebody reads it.
func (c *conversation) finish(heard <-chan struct{}) {
	select {
	case <-heard:
		return
	case <-c.left.Done():
	}
	select {
	case <-heard:
	case <-time.After(parting):
	}
}

// hearAgent passes on what the agent says.
func (c *conversation) hearAgent() {
	if err := c.bridge.FromAgent(c.said); err != nil {
		c.fail(fault.Wrap(fault.Invalid, err, "the agent's side of the conversation"))
	}
}

// hearEditor passes on what the editor says. Where the agent does not read, that there
// is nobody any more is not to be heard: it is asked for.
func (c *conversation) hearEditor() {
	go func() {
		abandoned(c.app.In, unix.POLLRDHUP)
		c.leave()
	}()
	err := c.bridge.FromEditor(c.app.In)
	c.in.Close()
	if err != nil {
		c.fail(err)
	}
	c.leave()
}

// fail ends the sandbox for what was said. Once it has ended, nothing counts.
func (c *conversation) fail(err error) {
	select {
	case <-c.ended:
		return
	default:
	}
	c.failed <- err
	c.said.CloseWithError(err)
	c.stop(0)
}

// part ends the sandbox of an agent that stays when its editor has left. What it says
// at the very end keeps nobody waiting.
func (c *conversation) part() {
	<-c.left.Done()
	<-c.ready
	select {
	case <-c.ended:
		return
	case <-time.After(parting):
	}
	time.AfterFunc(parting, func() { c.out.Close() })
	c.stop(parting)
}

// hearing is what an agent is to hear. What it does not hear any more is dropped, so that
// nobody waits for it.
type hearing struct{ *io.PipeReader }

// WriteTo is what copying goes by.
func (h hearing) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, h.PipeReader)
	_, _ = io.Copy(io.Discard, h.PipeReader)
	return n, err
}

// speaking is what is said to an agent. Once there is nothing more to hear, what is
// said is dropped.
type speaking struct{ *io.PipeWriter }

func (s speaking) Write(p []byte) (int, error) {
	if n, err := s.PipeWriter.Write(p); !errors.Is(err, io.ErrClosedPipe) {
		return n, err
	}
	return len(p), nil
}
