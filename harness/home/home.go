// Package home works inside a sandbox: it makes an agent's home ready, starts the
// agent, and keeps the home where the owner wants that.
//
// A home that is kept lies in one archive, which only programs in sandboxes ever
// open. It is no granted folder: names that are masked in those, and settings that
// are read-only in those, are the agent's own here.
package home

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Task is what is to be done.
type Task struct {
	Kept    string      // the folder with the archive; none: the home vanishes
	Files   [][2]string // names below the home, and texts; what is there already stays
	Command []string

	patience time.Duration // how long the command may take to end when asked to; zero: the usual
}

// patience is how long a command may take to end before it is ended, so that there is
// time to keep its home.
const patience = 5 * time.Second

// Parse reads the arguments: --keep FOLDER, files and texts in turn, --, and the
// command.
func Parse(args []string) (t Task, err error) {
	wrong := errors.New("expected --keep FOLDER [FILE TEXT]... -- COMMAND")
	if len(args) < 2 || args[0] != "--keep" {
		return t, wrong
	}
	t.Kept = args[1]
	for args = args[2:]; len(args) >= 2 && args[0] != "--"; args = args[2:] {
		if !filepath.IsLocal(args[0]) {
			return t, wrong
		}
		t.Files = append(t.Files, [2]string{args[0], args[1]})
	}
	if len(args) < 2 || args[0] != "--" {
		return t, wrong
	}
	t.Command = args[1:]
	return t, nil
}

// Run makes the home ready and becomes the command; a home that is kept it keeps
// after the command's end, whose exit code it returns.
func (t Task) Run(home string) (int, error) {
	if t.Kept != "" {
		if err := restore(filepath.Join(t.Kept, archive), home); err != nil {
			return 0, fmt.Errorf("the home that was kept: %w", err)
		}
	}
	for _, f := range t.Files {
		if err := place(filepath.Join(home, f[0]), f[1]); err != nil {
			return 0, err
		}
	}
	program, err := exec.LookPath(t.Command[0])
	if err != nil {
		return 127, err
	}
	if t.Kept == "" {
		return 126, syscall.Exec(program, t.Command, os.Environ())
	}
	code, err := wait(&exec.Cmd{Path: program, Args: t.Command, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, cmp.Or(t.patience, patience))
	return code, errors.Join(err, keep(home, filepath.Join(t.Kept, archive)))
}

// place writes a file, unless there is one.
func place(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.TrimRight(text, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// wait runs the command to its end. Signals that are sent to this process are passed
// on; what is typed on a terminal reaches the command by itself. One that is asked to
// end and does not is ended.
func wait(c *exec.Cmd, patience time.Duration) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		var late <-chan time.Time
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTERM && late == nil {
					late = time.After(patience)
				}
				if typed := s == syscall.SIGINT || s == syscall.SIGQUIT; !typed || !term.IsTerminal(0) {
					_ = c.Process.Signal(s) // it may have ended by now
				}
			case <-late:
				_ = c.Process.Kill()
			case <-ended:
				return
			}
		}
	}()
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	status := c.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}
