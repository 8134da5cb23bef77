package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
)

func TestAttachCopiesBothWays(t *testing.T) {
	s := play(t, nil)
	s.listen()
	s.press("ls\r\x03\x1a\x1d")
	await(t, "keys", func() bool { return s.heard.String() == "ls\r\x03\x1a\x1d" })
	s.print("hi\r\n\x1b]52;c;?\a\x1b[31mred")
	await(t, "output", func() bool { return s.screen.String() == "hi\r\n\x1b[31mred" })
	s.print("\x1b[c\x1b[6n")
	await(t, "the answer", func() bool { return strings.HasSuffix(s.heard.String(), "\x1d\x1b[?6c") })
	s.cancel()
	if err := s.end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.restored()
	await(t, "colours undone", func() bool { return strings.HasSuffix(s.screen.String(), "red\x1b[0m") })
}

// TestAttachStealsNoKeys types on after the program has ended.
func TestAttachStealsNoKeys(t *testing.T) {
	for range 20 {
		s := play(t, nil)
		s.print("last words")
		s.stdio.Close()
		if err := s.end(); err != nil {
			t.Fatal(err)
		}
		s.restored()
		await(t, "the last output", func() bool { return s.screen.String() == "last words" })
		s.press("next\n")
		buf := make([]byte, 64)
		if n, err := s.tty.Read(buf); string(buf[:n]) != "next\n" {
			t.Fatalf("the shell reads %q (%v)", buf[:n], err)
		}
	}
}

func TestAttachResizes(t *testing.T) {
	sizes := make(chan nacre.Window, 10)
	s := play(t, func(o *Options) {
		o.Resize = func(w nacre.Window) error { sizes <- w; return errors.New("ignored") }
	})
	want := func(w nacre.Window) {
		t.Helper()
		select {
		case got := <-sizes:
			if got != w {
				t.Fatalf("size %v, want %v", got, w)
			}
		case <-time.After(patience):
			t.Fatal("no size")
		}
	}
	want(nacre.Window{})
	unix.IoctlSetWinsize(int(s.keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
	unix.Kill(os.Getpid(), unix.SIGWINCH)
	want(nacre.Window{Rows: 40, Columns: 120})
}

func TestAttachSetsTheSizeItself(t *testing.T) {
	s := play(t, nil)
	unix.IoctlSetWinsize(int(s.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99})
	unix.Kill(os.Getpid(), unix.SIGWINCH)
	await(t, "the size", func() bool {
		size, err := unix.IoctlGetWinsize(int(s.stdio.Fd()), unix.TIOCGWINSZ)
		return err == nil && size.Row == 33 && size.Col == 99
	})
}

func TestAttachGoesRawAgainWhenContinued(t *testing.T) {
	s := play(t, nil)
	if err := unix.IoctlSetTermios(int(s.tty.Fd()), unix.TCSETS, &s.before); err != nil {
		t.Fatal(err)
	}
	unix.Kill(os.Getpid(), unix.SIGCONT)
	await(t, "raw mode", func() bool { return s.termios().Lflag&unix.ICANON == 0 })
	s.stdio.Close()
	if err := s.end(); err != nil {
		t.Error(err)
	}
	s.restored()
}

// TestAttachKills presses the kill key while the program neither reads its
// keys nor stops writing.
func TestAttachKills(t *testing.T) {
	killed := make(chan struct{}, 1)
	s := play(t, func(o *Options) { o.Kill = func() { killed <- struct{}{} } })
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for chunk := strings.Repeat("flood\r\n", 100); ; {
			if _, err := s.stdio.WriteString(chunk); err != nil {
				return
			}
		}
	}()
	await(t, "a flood", func() bool { return len(s.screen.String()) > 1<<20 })
	s.press("\x1d\x1d\x1d")
	select {
	case <-killed:
	case <-time.After(patience):
		t.Fatal("not killed")
	}
	s.cancel()
	s.end()
	s.restored()
	s.master.Close() // ends the flood
	<-flood
}

// TestAttachKillsBehindFullQueue pastes more than may wait into a program that
// reads nothing, then presses the kill key.
func TestAttachKillsBehindFullQueue(t *testing.T) {
	killed := make(chan struct{}, 1)
	s := play(t, func(o *Options) { o.Kill = func() { killed <- struct{}{} } })
	s.press(strings.Repeat("k", maxQueue+100_000))
	s.press("\x1d\x1d\x1d")
	select {
	case <-killed:
	case <-time.After(patience):
		t.Fatal("not killed")
	}
}

func TestAttachDeliversLargePaste(t *testing.T) {
	s := play(t, nil)
	text := strings.Repeat("0123456789abcdef", 20_000)
	s.listen()
	s.press(text)
	await(t, "the paste", func() bool { return len(s.heard.String()) >= len(text) })
	if s.heard.String() != text {
		t.Error("the paste arrives changed")
	}
}

func TestAttachHangUp(t *testing.T) {
	s := play(t, nil)
	s.keyboard.Close()
	if err := s.end(); !errors.Is(err, Interrupted{unix.SIGHUP}) {
		t.Errorf("ends with %v", err)
	}
}

func TestAttachEndsOnSignals(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM} {
		s := play(t, nil)
		unix.Kill(os.Getpid(), sig)
		if err := s.end(); !errors.Is(err, Interrupted{sig}) {
			t.Errorf("%v ends with %v", sig, err)
		}
		s.restored()
	}
}

// TestAttachEndsWhenTheScreenIsStuck lets nobody read the owner's terminal.
func TestAttachEndsWhenTheScreenIsStuck(t *testing.T) {
	reading, stuck := io.Pipe()
	defer reading.Close()
	s := play(t, func(o *Options) { o.Out = stuck })
	s.print("x")
	s.cancel()
	if err := s.end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.restored()
}

func TestAttachHoldsAFloodBack(t *testing.T) {
	reading, stuck := io.Pipe()
	s := play(t, func(o *Options) { o.Out = stuck })
	defer reading.Close()
	if err := unix.SetNonblock(int(s.stdio.Fd()), true); err != nil {
		t.Fatal(err)
	}
	total, full := 0, 0
	chunk := bytes.Repeat([]byte("x"), 4096)
	for full < 50 && total < 8<<20 {
		if n, err := unix.Write(int(s.stdio.Fd()), chunk); err == unix.EAGAIN {
			full++
			time.Sleep(time.Millisecond)
		} else {
			total += n
			full = 0
		}
	}
	if total > 1<<20 {
		t.Errorf("%d bytes are taken while nobody reads", total)
	}
}

func TestAttachBrokenOut(t *testing.T) {
	for sig, out := range map[unix.Signal]io.Writer{unix.SIGPIPE: brokenPipe{unix.EPIPE}, unix.SIGHUP: brokenPipe{unix.EIO}} {
		s := play(t, func(o *Options) { o.Out = out })
		s.print("x")
		if err := s.end(); !errors.Is(err, Interrupted{sig}) {
			t.Errorf("ends with %v, want %v", err, sig)
		}
		s.restored()
	}
}

type brokenPipe struct{ error }

func (b brokenPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", b.error) }

func TestAttachUnderACap(t *testing.T) {
	over := make(chan struct{})
	s := play(t, func(o *Options) { o.Limit = NewCap(5, func() { close(over) }).Limit })
	s.print("\x1b[6n1")
	await(t, "output", func() bool { return s.screen.String() == "1" })
	s.print("23")
	<-over
	s.stdio.Close()
	if err := s.end(); err != nil || s.screen.String() != "1" {
		t.Errorf("%q, %v: what is dropped counts, too", s.screen.String(), err)
	}
}

func TestAttachRefusesWhatIsNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	master, _ := pair(t)
	if err := Attach(t.Context(), Options{Terminal: r, Master: master}); err == nil {
		t.Error("a pipe is taken for a terminal")
	}
	if err := Attach(t.Context(), Options{}); err == nil {
		t.Error("no terminal at all is taken for one")
	}
}

// TestAttachRestoresOnPanic runs itself in a process that dies of a panic in a
// callback.
func TestAttachRestoresOnPanic(t *testing.T) {
	if os.Getenv("NACRE_TEST_PANIC") != "" {
		Attach(context.Background(), Options{Terminal: os.Stdin, Master: os.NewFile(3, "master"),
			Resize: func(nacre.Window) error { panic("in a callback") }})
		return
	}
	_, tty := pair(t)
	master, _ := pair(t)
	before, _ := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	cmd := exec.Command(os.Args[0], "-test.run=^TestAttachRestoresOnPanic$")
	cmd.Env = append(os.Environ(), "NACRE_TEST_PANIC=1")
	cmd.Stdin, cmd.ExtraFiles = tty, []*os.File{master}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in a callback") {
		t.Fatalf("no panic: %v, %s", err, out)
	}
	if after, _ := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS); *after != *before {
		t.Error("a panic leaves the terminal raw")
	}
}

// TestAttachRealProgram runs a shell with job control: Ctrl-C is a byte here,
// and a signal there; the session ends with the last process.
func TestAttachRealProgram(t *testing.T) {
	s := play(t, nil)
	cmd := exec.Command("sh", "-c", `stty sane; trap 'printf "caught\n"; exit' INT; printf "ready\n"; while :; do sleep 0.05; done`)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.stdio, s.stdio, s.stdio
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Skip("needs sh: ", err)
	}
	s.stdio.Close()
	await(t, "the program", func() bool { return strings.Contains(s.screen.String(), "ready\r\n") })
	s.press("\x03")
	if err := s.end(); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	s.restored()
	await(t, "its last words", func() bool { return strings.HasSuffix(s.screen.String(), "caught\r\n") })
}
