package reap

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// start runs a job's command in a session of its own, with three descriptors
// and nothing else. It returns the job's side of its terminal, if it has one,
// to be held open until the job has ended: the owner's side takes a terminal
// that nobody holds for the end.
func start(m blueprint.Message, fds []int) (pid, slave int, err error) {
	slave = -1
	if m.TTY {
		if slave, err = terminal(m); err != nil {
			return 0, slave, fmt.Errorf("terminal: %w", err)
		}
		fds = []int{slave, slave, slave}
	}
	if len(fds) != 3 || len(m.Command) == 0 {
		return 0, slave, errors.New("a job takes a command and three descriptors")
	}
	attr := &syscall.ProcAttr{Dir: m.Workdir, Env: m.Env, Sys: &syscall.SysProcAttr{Setsid: true, Setctty: m.TTY}}
	attr.Files = []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2])}
	name := m.Command[0]
	if !strings.Contains(name, "/") {
		name, err = find(m.Places)
	}
	if err == nil {
		pid, err = syscall.ForkExec(name, m.Command, attr)
	}
	return pid, slave, err
}

// terminal makes a pseudo-terminal in the sandbox's own devpts and passes its
// master out, so that no terminal of the host's is ever within reach. It has its
// size before anybody can ask for that.
func terminal(run blueprint.Message) (slave int, err error) {
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(master)
	if err := errors.Join(unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &run.Size)); err != nil {
		return -1, err
	}
	flags := uintptr(unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC)
	fd, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, flags)
	if e != 0 {
		return -1, e
	}
	if err := tell(blueprint.Message{Kind: blueprint.Terminal, Job: run.Job}, master); err != nil {
		unix.Close(int(fd))
		return -1, err
	}
	return int(fd), nil
}

// find is the first of the places that holds something to execute.
func find(places []string) (string, error) {
	err := error(syscall.ENOENT)
	for _, place := range places {
		if st, e := os.Stat(place); e != nil || st.IsDir() {
			continue
		}
		if err = unix.Access(place, unix.X_OK); err == nil {
			return place, nil
		}
	}
	return "", err
}
