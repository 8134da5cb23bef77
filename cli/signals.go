package cli

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

const (
	killWithin = 2 * time.Second  // a second Ctrl-C in this time ends everything
	stopGrace  = 10 * time.Second // how long a command may take to end when asked to
)

// signals passes what is sent to nacre on to the command.
type signals struct {
	received chan os.Signal
	pipe     chan os.Signal
	boxes    chan nacre.Sandbox
	cancel   context.CancelFunc
	mu       sync.Mutex
	first    syscall.Signal // what came before there was a sandbox
}

// passed are the signals that are the program's affair alone, as docker run passes them
// on. Not among them: what ends a run, what a shell stops its jobs with, what tells a
// process of its own children, pipes, window and limits, and what the Go runtime needs.
func passed() []os.Signal {
	list := []os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM, unix.SIGCONT, unix.SIGIO, unix.SIGPWR,
		unix.SIGSTKFLT, unix.SIGABRT, unix.SIGTRAP}
	for n := firstRealTime; n <= lastRealTime; n++ {
		list = append(list, n)
	}
	return list
}

// maxHeld bounds the signals that wait for a program to start: the last ones count.
const maxHeld = 64

// The real-time signals, but for those that C libraries keep for themselves: signal(7).
const firstRealTime, lastRealTime = syscall.Signal(35), syscall.Signal(64)

// watchSignals begins: a signal that would end the program and comes before the sandbox
// runs cancels its start, and another Ctrl-C ends a start that does not listen.
func watchSignals(cancel context.CancelFunc) *signals {
	s := &signals{received: make(chan os.Signal, 64), boxes: make(chan nacre.Sandbox, 1), cancel: cancel,
		pipe: make(chan os.Signal, 1)}
	signal.Notify(s.pipe, unix.SIGPIPE) // a reader that is gone is then the program's affair, not our death
	signal.Notify(s.received, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	signal.Notify(s.received, passed()...)
	go s.watch()
	return s
}

func (s *signals) close() {
	signal.Stop(s.pipe)
	signal.Stop(s.received)
	close(s.received)
}

// forward sends all that comes, and came, to the sandbox.
func (s *signals) forward(box nacre.Sandbox) { s.boxes <- box }

func (s *signals) watch() {
	var box nacre.Sandbox
	var last time.Time        // the last Ctrl-C
	var held []syscall.Signal // for the program, until it is there
	for {
		select {
		case box = <-s.boxes:
			signal.Notify(s.received, unix.SIGINT)
			if early := s.early(0); early != 0 {
				_ = box.Signal(int(early))
			}
			for _, number := range held {
				_ = box.Signal(int(number))
			}
		case got, ok := <-s.received:
			number, _ := got.(syscall.Signal)
			switch {
			case !ok:
				return
			case box == nil && slices.Contains(passed(), got):
				held = append(held, number)[max(0, len(held)+1-maxHeld):]
			case slices.Contains(passed(), got):
				_ = box.Signal(int(number))
			case box == nil:
				s.early(number)
				last = time.Now()
				signal.Reset(unix.SIGINT) // the next start sweeps what is left
				s.cancel()
			case number == unix.SIGINT && time.Since(last) < killWithin:
				go box.Stop(0)
			case number == unix.SIGINT || number == unix.SIGQUIT:
				last = time.Now()
				_ = box.Signal(int(number))
			default:
				_ = box.Signal(int(number))
				time.AfterFunc(stopGrace, func() { _ = box.Stop(0) })
			}
		}
	}
}

// early notes the first signal, and returns it.
func (s *signals) early(number syscall.Signal) syscall.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == 0 {
		s.first = number
	}
	return s.first
}

// interrupted is how a start that failed ended: by a signal, if one came.
func (s *signals) interrupted(err error) (nacre.Exit, error) {
	if number := s.early(0); number != 0 && fault.KindOf(err) != fault.Leftover {
		return nacre.Exit{Code: 128 + int(number), Signal: int(number), Reason: "signalled"}, nil
	}
	return nacre.Exit{}, err
}
