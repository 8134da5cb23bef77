package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The others whom an agent must not reach: a process, a terminal and a second
// sandbox.

const readyTime = 10 * time.Second

// startVictim starts the host's canary process, with a secret in its memory,
// its environment and its command line.
func (w *world) startVictim() error {
	command := exec.Command(w.options.Program, "--victim", w.secret("command-line"))
	command.Env = append(os.Environ(), "NACRE_CANARY="+w.secret("memory"))
	command.Dir = w.outside
	lines, err := w.companion(command, "")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(<-lines, "ready %d %d", &w.config.VictimAddress, &w.config.VictimLength); err != nil {
		return fmt.Errorf("the canary process is not ready: %w", err)
	}
	w.config.Victim = command.Process.Pid
	go func() {
		for line := range lines {
			probe := map[string]string{"signal SIGCONT": "others.signal", "signal SIGWINCH": "others.signal-all"}[line]
			w.mu.Lock()
			if probe != "" {
				w.arrivals[probe] = "the host's canary process, as a signal"
			}
			w.mu.Unlock()
		}
	}()
	return nil
}

// startSibling starts a second sandbox of the same kind, which keeps a secret.
func (w *world) startSibling(context.Context) error {
	base := w.base + "/sibling"
	folder := base + "/granted"
	if err := copyProgram(w.options.Program, filepath.Join(folder, deliveryFolder)); err != nil {
		return err
	}
	inside := w.options.Inside
	if inside == "" {
		inside = folder
	}
	argv := w.options.Command([]string{inside + "/" + deliveryFolder + "/nacre-attack", "--sibling"}, folder)
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = base
	lines, err := w.companion(command, w.secret("sibling")+"\n")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(<-lines, "ready %d %s", &w.config.SiblingPort, &w.config.SiblingAbstract); err != nil {
		return fmt.Errorf("a second sandbox did not start: %w", err)
	}
	go func() {
		for range lines {
		}
	}()
	return nil
}

// companion starts a command that lives until the world closes, and answers
// its lines. The first comes within the ready time, or is empty.
func (w *world) companion(command *exec.Cmd, input string) (<-chan string, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.WaitDelay = drainTime
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	io.WriteString(in, input)
	lines := make(chan string)
	first := time.AfterFunc(readyTime, func() { syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
	done := make(chan struct{})
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(io.LimitReader(out, 1<<20))
		for scanner.Scan() {
			first.Stop()
			select {
			case lines <- strings.TrimSpace(scanner.Text()):
			case <-done:
				return
			}
		}
	}()
	w.closers = append(w.closers, func() {
		close(done)
		in.Close()
		timer := time.AfterFunc(time.Second, func() { syscall.Kill(-command.Process.Pid, syscall.SIGKILL) })
		command.Wait()
		timer.Stop()
	})
	return lines, nil
}

// plantTerminal opens a terminal on the host and listens at its near end.
func (w *world) plantTerminal() error {
	near, far, name, err := openTerminal()
	if err != nil {
		return err
	}
	w.config.Terminal = name
	w.closers = append(w.closers, func() { closeAll(near, far) })
	go func() {
		scanner := bufio.NewScanner(near)
		for scanner.Scan() {
			w.take("the host's terminal "+name, scanner.Bytes())
		}
	}()
	return nil
}

// openTerminal makes a pseudo-terminal.
func openTerminal() (near, far *os.File, name string, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, "", err
	}
	near = os.NewFile(uintptr(fd), "terminal")
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		near.Close()
		return nil, nil, "", err
	}
	name = fmt.Sprintf("/dev/pts/%d", number)
	far, err = os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		near.Close()
		return nil, nil, "", err
	}
	return near, far, name, nil
}
