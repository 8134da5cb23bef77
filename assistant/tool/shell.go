package tool

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"nacre/assistant"
)

const (
	usually = 2 * time.Minute
	longest = 30 * time.Minute
	// lingering is how long a command's children may keep its output open.
	lingering = time.Second
)

// Shell runs commands in the working folder.
func Shell(folder string) assistant.Tool {
	type arguments struct {
		Command string `json:"command"`
		Seconds int    `json:"seconds"`
	}
	return define("bash", "Run a command with bash (or sh) in the working folder. Returns what it prints, both streams. State of the shell is not kept between calls.",
		`"command":{"type":"string"},"seconds":{"type":"integer","description":"it is ended after so many; default 120, at most 1800"}`, []string{"command"},
		func(ctx context.Context, a arguments) (string, error) {
			limit := usually
			if a.Seconds > 0 {
				limit = min(time.Duration(a.Seconds)*time.Second, longest)
			}
			return shell(ctx, folder, a.Command, limit)
		})
}

// errSlow is why a command is ended.
var errSlow = errors.New("it took too long")

func shell(ctx context.Context, folder, command string, limit time.Duration) (string, error) {
	program := "sh"
	if _, err := exec.LookPath("bash"); err == nil {
		program = "bash"
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-c", command)
	var out keeper
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, &out, &out, lingering
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errSlow):
		return out.String(), fmt.Errorf("ended after %s", limit)
	case errors.Is(err, exec.ErrWaitDelay), err == nil:
		return out.String(), nil
	case errors.As(err, &ended):
		return out.String(), fmt.Errorf("%s", ended.ProcessState)
	}
	return out.String(), err
}
