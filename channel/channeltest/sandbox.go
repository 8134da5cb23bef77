package channeltest

import (
	"context"
	"crypto/rand"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Sandbox starts adapters by nacre, each in a sandbox of its own, with what the flags
// of nacre run grant.
type Sandbox struct {
	Nacre   string   // the program
	Flags   []string // such as --files FOLDER:read
	Env     []string // in which the owner's home is named
	Command []string
}

// Start starts one.
func (s Sandbox) Start() (*Process, error) {
	name := "channel-" + strings.ToLower(rand.Text())
	args := append([]string{"run", "--quiet", "--tty=never", "--name", name}, s.Flags...)
	c := exec.Command(s.Nacre, append(append(args, "--"), s.Command...)...)
	c.Env, c.SysProcAttr = s.Env, &syscall.SysProcAttr{Setsid: true}
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, w := io.Pipe()
	c.Stdout = w
	if err := c.Start(); err != nil {
		return nil, err
	}
	wait := sync.OnceValue(func() error {
		err := c.Wait()
		w.Close()
		return err
	})
	ended, left := context.WithCancel(context.Background())
	go func() {
		_ = wait()
		left()
	}()
	return &Process{In: in, Out: out, Wait: wait, Kill: func() {
		out.Close() // nobody reads any more
		stop := exec.Command(s.Nacre, "stop", "--grace", "0s", name)
		stop.Env = s.Env
		if stop.Run() != nil && ended.Err() == nil { // it is not yet known, or it has just ended
			_ = c.Process.Signal(syscall.SIGTERM)
		}
		_ = wait()
	}}, nil
}
