package terminal

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits before it gives up on something that must
// happen; nothing is measured by it.
const patience = 20 * time.Second

// pair opens both sides of a pseudo-terminal.
func pair(t *testing.T) (master, slave *os.File) {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("needs /dev/ptmx: ", err)
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	s, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal(errno)
	}
	master, slave = os.NewFile(uintptr(m), "master"), os.NewFile(s, "slave")
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

// screen collects what appears somewhere.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// scene is an owner at a terminal, and a program at another, joined.
type scene struct {
	t             *testing.T
	keyboard, tty *os.File // the owner's side, and the terminal that we run on
	master, stdio *os.File // what the sandbox hands out, and what the program has
	screen, heard *screen  // what the owner sees, and what the program reads
	before        unix.Termios
	ended         chan error
	cancel        context.CancelFunc
}

func play(t *testing.T, change func(*Options)) *scene {
	t.Helper()
	s := &scene{t: t, screen: &screen{}, heard: &screen{}, ended: make(chan error, 1)}
	s.keyboard, s.tty = pair(t)
	s.master, s.stdio = pair(t)
	s.raw(s.stdio)
	s.before = s.termios()
	go io.Copy(s.screen, s.keyboard)
	o := Options{Terminal: s.tty, Master: s.master}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	t.Cleanup(cancel)
	go func() { s.ended <- Attach(ctx, o) }()
	await(t, "raw mode", func() bool { return s.termios().Lflag&unix.ICANON == 0 })
	return s
}

func (s *scene) raw(f *os.File) {
	s.t.Helper()
	set, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	set.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG
	set.Oflag &^= unix.OPOST
	set.Iflag &^= unix.ICRNL | unix.IXON
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, set); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) termios() unix.Termios {
	s.t.Helper()
	now, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *now
}

func (s *scene) listen() { go io.Copy(s.heard, s.stdio) }

func (s *scene) press(keys string) {
	s.t.Helper()
	if _, err := s.keyboard.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) print(text string) {
	s.t.Helper()
	if _, err := s.stdio.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) end() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		s.t.Fatal("Attach does not return")
		return nil
	}
}

func (s *scene) restored() {
	s.t.Helper()
	if now := s.termios(); now != s.before {
		s.t.Errorf("the terminal is left at %+v, was %+v", now, s.before)
	}
}
