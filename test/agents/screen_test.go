package agents

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/test/programs"
)

// screen is a terminal that a program draws on.
type screen struct {
	master, slave *os.File
	mu            sync.Mutex
	drawn         bytes.Buffer
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	s := &screen{master: os.NewFile(uintptr(fd), "master")}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		s.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(s.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := s.master.Read(b)
			s.mu.Lock()
			s.drawn.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { s.slave.Close(); s.master.Close() })
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drawn.String()
}

// TestFullScreen: each agent draws on a terminal of its own, takes a task that is
// typed, and asks its model; the owner ends it with Ctrl-], three times.
func TestFullScreen(t *testing.T) {
	for _, a := range agents {
		if a.blind {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			r := prepare(t, a)
			s := newScreen(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			args := append(append([]string{"run"}, programs.Tiers()...), "--policy", filepath.Join(r.home, "policy/policy.yaml"), "--with", r.with, "--files", ".:write", "--env", "TERM=xterm-256color")
			cmd := r.nacre(ctx, args...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = s.slave, s.slave, s.slave
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			// It is typed again until it is heard: a dialogue may come first.
			for tick := time.NewTicker(3 * time.Second); !r.typed() && ctx.Err() == nil; {
				select {
				case <-tick.C:
					_, _ = s.master.WriteString("Make the tests pass")
				case err := <-ended:
					t.Fatalf("it ended with %v:\n%q", err, s.text())
				case <-ctx.Done():
				}
				time.Sleep(500 * time.Millisecond) // keys that come at once are taken for something pasted
				_, _ = s.master.WriteString("\r")
			}
			if !r.typed() {
				t.Errorf("what was typed did not reach the model; drawn:\n%q", last(s.text()))
			}
			for range 3 {
				_, _ = s.master.WriteString("\x1d")
			}
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Error("it does not end")
			}
			if !bytes.Contains([]byte(s.text()), []byte("\x1b[")) {
				t.Errorf("nothing was drawn: %q", s.text())
			}
			r.stayedInside()
		})
	}
}

// last is the end of what was drawn.
func last(s string) string { return s[max(0, len(s)-3000):] }

// typed tells whether the model was asked what was typed.
func (r *run) typed() bool {
	for _, q := range r.model.Requests() {
		if bytes.Contains(q.Body, []byte("Make the tests pass")) && q.API == r.agent.api {
			return true
		}
	}
	return false
}
