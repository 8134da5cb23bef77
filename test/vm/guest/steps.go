package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"time"

	"nacre/test/vm/job"
)

// maxOutput bounds what is kept of a step's output.
const maxOutput = 4 << 20

// results is the disk that carries one JSON line for each step.
type results struct{ f *os.File }

func openResults() (results, error) {
	dev, err := disk(job.DiskResults)
	if err != nil {
		return results{}, err
	}
	f, err := os.OpenFile(dev, os.O_WRONLY, 0)
	return results{f}, err
}

// write appends a result at once, so that those of a machine that hangs later
// are not lost.
func (r results) write(res job.Result) error {
	b, err := json.Marshal(res)
	if err != nil {
		return err
	}
	if _, err := r.f.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("results disk: %w", err)
	}
	return r.f.Sync()
}

// runSteps sets the machine up and runs the job's steps one after the other.
func runSteps() error {
	out, err := openResults()
	if err != nil {
		return err
	}
	j, err := readJob("/")
	if err != nil {
		return err
	}
	if err := setup(j.Setup); err != nil {
		return err
	}
	say("up")
	for _, s := range j.Steps {
		r := runStep(s)
		if err := out.write(r); err != nil {
			return err
		}
		say("%s: exit %d after %.1f s", s.Name, r.Exit, r.Took.Seconds())
	}
	return nil
}

func runStep(s job.Step) job.Result {
	start := time.Now()
	r := job.Result{Name: s.Name, User: s.User}
	r.Output, r.Exit = capture(stepCommand(s))
	r.Took = time.Since(start)
	r.TimedOut = r.Took >= s.Timeout && (r.Exit == 124 || r.Exit == 137)
	return r
}

// wrapper runs the line $2 for at most $1 seconds. The outer shell turns death
// by a signal into 128+signal, which systemd-run would not pass on.
const wrapper = `timeout --kill-after=5 "$1" sh -c "$2"; exit $?`

// stepCommand is the command of a step: in a login session, opened through
// PAM as a terminal or ssh login is, or bare.
func stepCommand(s job.Step) *exec.Cmd {
	line := []string{"/bin/sh", "-c", wrapper, "step", fmt.Sprint(s.Timeout.Seconds()), s.Command}
	var args []string
	if s.Bare {
		args = []string{"setpriv", "--reuid", s.User, "--regid", s.User, "--init-groups", "--reset-env", "env"}
		args = append(args, environment(s, "")...)
	} else {
		// The PAM session's own process holds what tells that a service of type
		// exec has started: without the last property, 90 s end the step.
		args = []string{"systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec",
			"--uid=" + s.User, "--property=PAMName=login", "--working-directory=" + s.Dir, "--property=TimeoutStartSec=infinity"}
		args = append(args, environment(s, "--setenv=")...)
	}
	for _, a := range line {
		if !s.Bare {
			a = strings.ReplaceAll(a, "$", "$$") // systemd expands variables
		}
		args = append(args, a)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = s.Dir
	return cmd
}

func environment(s job.Step, prefix string) []string {
	var vars []string
	for k, v := range s.Env {
		vars = append(vars, prefix+k+"="+v)
	}
	sort.Strings(vars)
	return vars
}

// capture runs a command and returns its output and exit code.
func capture(cmd *exec.Cmd) (string, int) {
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	cmd.WaitDelay = 5 * time.Second // a daemon may keep the pipe open
	err := cmd.Run()
	out := buf.Bytes()
	if len(out) > maxOutput {
		out = append([]byte("(start cut off)\n"), out[len(out)-maxOutput:]...)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return string(out) + err.Error(), 127
	}
	return string(out), 0
}

// setup makes the machine differ from a stock one as the job asks.
func setup(s job.Setup) error {
	for k, v := range s.Sysctl {
		path := "/proc/sys/" + strings.ReplaceAll(k, ".", "/")
		if err := os.WriteFile(path, []byte(v), 0); err != nil {
			return err
		}
	}
	if s.NoCPU {
		const dir = "/etc/systemd/system/user@.service.d"
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(dir+"/vm.conf", []byte("[Service]\nDelegate=\nDelegate=pids memory\n"), 0o644); err != nil {
			return err
		}
		if err := run("systemctl", "daemon-reload"); err != nil {
			return err
		}
	}
	if s.NoSession {
		return nil
	}
	for _, u := range [][2]string{{"root", "0"}, {job.Tester, "1000"}} {
		if err := run("loginctl", "enable-linger", u[0]); err != nil {
			return err
		}
		// enable-linger starts it in the background; this waits until it is up.
		if err := run("systemctl", "start", "user@"+u[1]+".service"); err != nil {
			return err
		}
	}
	return nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
