package terminal

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"nacre"
	"nacre/fault"
)

// session is one Attach. Its descriptors are its own, so that nobody else's
// Close can put another file in their place.
type session struct {
	Options
	tty, master, wake int
	filter            *Filter
	out               io.Writer // the filter, under the limit
	saved             *term.State
	restored          sync.Once
	over              atomic.Bool
	keys, text        chan error // how each copier ended
	sizes             chan nacre.Window
	killing           atomic.Bool
}

// open takes the descriptors and puts the terminal into raw mode.
func open(o Options) (_ *session, err error) {
	s := &session{Options: o, tty: -1, master: -1, wake: -1,
		keys: make(chan error, 1), text: make(chan error, 1), sizes: make(chan nacre.Window, 1)}
	defer func() {
		if err != nil {
			s.closeFiles()
		}
	}()
	if s.tty, err = duplicate(o.Terminal); err != nil {
		return nil, err
	}
	if s.master, err = duplicate(o.Master); err != nil {
		return nil, err
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "the terminals cannot be joined")
	}
	if err = unix.SetNonblock(s.master, true); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the program's terminal cannot be made non-blocking")
	}
	if s.saved, err = term.MakeRaw(s.tty); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "the input is not a terminal").
			WithHint("run it without a terminal: its input and output are then pipes")
	}
	if s.Out == nil {
		s.Out = o.Terminal
	}
	s.filter = NewFilter(s.Out)
	s.filter.Answer = func(b []byte) { unix.Write(s.master, b) } // non-blocking: an answer may get lost
	s.out = s.filter
	if o.Limit != nil {
		s.out = o.Limit(s.filter)
	}
	return s, nil
}

// duplicate makes a descriptor of our own for f's file.
func duplicate(f *os.File) (int, error) {
	conn, err := f.SyscallConn()
	fd := -1
	if err == nil {
		var e error
		err = conn.Control(func(old uintptr) { fd, e = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) })
		err = errors.Join(err, e)
	}
	if err != nil {
		return -1, fault.Wrap(fault.Internal, err, "a terminal's descriptor cannot be duplicated")
	}
	return fd, nil
}

// close ends both copiers and puts the terminal back. A copier that is stuck in
// a write, since the owner's terminal takes nothing, is left behind: it finds
// the session over and touches no descriptor again.
func (s *session) close() {
	defer s.closeFiles()
	defer s.restore()
	s.over.Store(true)
	close(s.sizes)
	unix.Write(s.wake, []byte{7: 1})
	patience := time.After(grace)
	for _, copier := range []chan error{s.keys, s.text} {
		select {
		case <-copier:
		case <-patience:
			return
		}
	}
}

func (s *session) closeFiles() {
	for _, fd := range []int{s.tty, s.master, s.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// start runs a copier. Its channel carries how it ended, then is closed.
func (s *session) start(ended chan error, copier func() error) {
	go s.guarded(func() {
		defer close(ended)
		ended <- copier()
	})
}

// resizer calls Resize where it cannot hold up anything else.
func (s *session) resizer() {
	for size := range s.sizes {
		s.Resize(size)
	}
}

// guarded runs f so that the terminal is put back before a panic ends us.
func (s *session) guarded(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.restore()
			panic(p)
		}
	}()
	f()
}

// restore puts the terminal back as it was, unless it is somebody else's turn:
// in the background it belongs to the shell, which has its own idea of it.
func (s *session) restore() {
	s.restored.Do(func() {
		if s.foreground() {
			term.Restore(s.tty, s.saved)
		}
	})
}

func (s *session) foreground() bool { return foreground(s.tty) }

// Foreground tells whether a terminal is ours: a shell lends it to one of its jobs.
func Foreground(f *os.File) bool { return foreground(int(f.Fd())) }

func foreground(tty int) bool {
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp() // an error: not our controlling terminal
}

// resize tells the program the terminal's size; of sizes that wait, the last.
func (s *session) resize() {
	size, err := unix.IoctlGetWinsize(s.tty, unix.TIOCGWINSZ)
	if err != nil {
		return
	}
	if s.Resize == nil {
		unix.IoctlSetWinsize(s.master, unix.TIOCSWINSZ, size)
		return
	}
	select {
	case <-s.sizes:
	default:
	}
	s.sizes <- nacre.Window{Rows: size.Row, Columns: size.Col}
}
