package terminal

import (
	"context"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"nacre"
)

// grace is how long Attach waits for a write to the owner's terminal that
// blocks, once the session is over.
const grace = 250 * time.Millisecond

// Options say what to join. Terminal and Master are required, and stay the
// caller's to close.
type Options struct {
	// Terminal is the owner's terminal: keys are read from it.
	Terminal *os.File
	// Out gets the program's output, filtered; Terminal where it is nil.
	Out io.Writer
	// Master is the program's terminal, seen from outside. It is made
	// non-blocking. Something must hold the other side open until the program
	// has ended, since nobody holding it is how the end is seen.
	Master *os.File
	// Resize is told the terminal's size at the start and at each change;
	// where it is nil, Master is set. An error is ignored: the next change
	// brings the next try.
	Resize func(nacre.Window) error
	// Kill is called, in a goroutine of its own, when the owner presses Ctrl-]
	// three times within a second.
	Kill func()
	// Limit, if set, wraps the filter: a Cap's Limit counts what the program
	// writes, before anything is dropped.
	Limit func(io.Writer) io.Writer
}

// Interrupted is the error of a session that a signal to this process ended.
// The owner's terminal going away counts as SIGHUP. The program still runs.
type Interrupted struct{ Signal unix.Signal }

func (i Interrupted) Error() string {
	return "the terminal session ended by " + unix.SignalName(i.Signal)
}

// Attach joins the owner's terminal, in raw mode, and a program's until the
// program ends (nil), a signal arrives or the terminal goes away (Interrupted),
// or ctx is done (its error). Whatever ends it, a panic included, the terminal
// is put back as it was; only SIGKILL leaves no chance to.
func Attach(ctx context.Context, o Options) error {
	stop, pipe, changed := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)
	for channel, signals := range map[chan os.Signal][]os.Signal{
		stop:    {unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM},
		pipe:    {unix.SIGPIPE}, // a broken Out is then an error, not our death
		changed: {unix.SIGWINCH, unix.SIGCONT},
	} {
		signal.Notify(channel, signals...)
		defer signal.Stop(channel)
	}
	s, err := open(o)
	if err != nil {
		return err
	}
	defer s.close()
	s.start(s.keys, s.input)
	s.start(s.text, s.output)
	go s.guarded(s.resizer)
	for {
		s.resize()
		select {
		case end := <-s.keys:
			return end
		case end := <-s.text:
			return end
		case sig := <-stop:
			return Interrupted{sig.(unix.Signal)}
		case <-ctx.Done():
			return ctx.Err()
		case <-changed: // SIGCONT: the shell has had the terminal meanwhile
			if s.foreground() {
				term.MakeRaw(s.tty)
			}
		}
	}
}
