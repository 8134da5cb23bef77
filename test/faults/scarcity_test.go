package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// confined is what a sandbox says of itself.
var confined = []string{"grep", "-E", "^(NoNewPrivs|Seccomp|Cap)", "/proc/self/status"}

// start starts one where limit has bounded it; flags are more of nacre run's.
func (s *scarcity) start(limit func(pid int) error, flags ...string) (out string, state *os.ProcessState) {
	s.Helper()
	flags = append([]string{"run", "-q"}, flags...)
	if len(flags) == 2 || flags[2] != "--agent" {
		flags = append(append(flags, "--"), confined...)
	}
	run := s.nacre(flags...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `echo ready >&3; exec 3>&-; read -r go && exec "$@"`, "sh"}, run.Args...)...)
	cmd.Env, cmd.SysProcAttr, cmd.WaitDelay = run.Env, s.attr, 20*time.Second
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	ready, theirs, err := os.Pipe()
	if err != nil {
		s.Fatal(err)
	}
	defer ready.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	theirs.Close()
	if err != nil {
		s.Fatal(err)
	}
	_, _ = io.ReadAll(ready)
	if limit != nil {
		if err := limit(cmd.Process.Pid); err != nil {
			s.Error(err)
		}
	}
	_, _ = io.WriteString(in, "\n")
	if err := cmd.Wait(); errors.Is(err, exec.ErrWaitDelay) { // for the rest, the state says it
		s.Logf("what it had begun outlived it by %v, until the next start", cmd.WaitDelay)
	}
	if ctx.Err() != nil {
		s.Errorf("it did not end:\n%s", b.String())
	}
	return b.String(), cmd.ProcessState
}

// How a start may end that runs nothing: told so before anything was begun, or
// later; or starved where Go's runtime itself got nothing, which says so in its own
// words.
var (
	refusal    = regexp.MustCompile(`^error: a sandbox cannot be started: [^\n]+ start takes [^\n]+\nhint: [^\n]+\n$`)
	failure    = regexp.MustCompile(`(^|\n)(error: [^\n]+\nhint: [^\n]+\n)+$`) // after what the gateway's runtime said
	starvation = regexp.MustCompile(`(?m)^fatal error: (newosproc|.*memory.*)$`)
)

// try starts one, tells how that ended and whether a folder of it was there still,
// and sees to it that nothing is left.
func (s *scarcity) try(limit func(pid int) error, flags ...string) (how string, made bool) {
	s.Helper()
	out, state := s.start(limit, flags...)
	status, code := state.Sys().(syscall.WaitStatus), state.ExitCode()
	switch {
	case code == 0 && out == s.sound:
		how = "ran"
	case code == 128+int(unix.SIGKILL), status.Signaled() && (status.Signal() == unix.SIGKILL || status.Signal() == unix.SIGSEGV):
		how = "killed" // by the latter where no program can be loaded
	case code == 2 && starvation.MatchString(out):
		how = "starved"
	case code == 125 && refusal.MatchString(out):
		how = "refused"
	case (code == 125 || code == 126) && failure.MatchString(out):
		how = "failed"
	default:
		s.Errorf("%v:\n%.2000s", state, out)
	}
	s.ended[how]++
	s.note()
	entries, _ := os.ReadDir(s.runs)
	made = slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != ".lock" && e.Name() != "numbers" })
	if made {
		s.check(s.before)
	}
	return how, made
}

// begins is try where nothing was taken meanwhile: Nacre tells, or Go, before
// anything was made.
func (s *scarcity) begins(limit func(pid int) error) (how string) {
	s.Helper()
	how, made := s.try(limit)
	if made || how == "failed" {
		s.Errorf("%s half-way; there is a folder of it: %v", how, made)
	}
	return how
}

// suffices is try where there is enough.
func (s *scarcity) suffices(limit func(pid int) error, flags ...string) {
	s.Helper()
	if how, _ := s.try(limit, flags...); how != "ran" {
		s.Errorf("with enough of it: %s", how)
	}
}

func (s *scarcity) place(file, content string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		s.Fatal(err)
	}
}

// limited bounds a process.
func limited(resource int, most uint64) func(pid int) error {
	return func(pid int) error { return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil) }
}

// group is a control group that is removed in the end, when there must be nothing in it.
type group struct {
	dir  string
	most *os.File // bounds it
	test *scarcity
}

// group makes one, and opens its file of one of these names, v1's or v2's.
func (s *scarcity) group(controller string, names ...string) *group {
	s.Helper()
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		s.Fatal(err)
	}
	s.made++
	top := "/sys/fs/cgroup"
	if path, v1 := own[controller]; v1 {
		top = filepath.Join(top, controller, path)
	}
	g := &group{dir: filepath.Join(top, fmt.Sprintf("scarce-%d-%d", os.Getpid(), s.made)), test: s}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		s.Skipf("needs control groups of its own: %v", err)
	}
	s.Cleanup(func() {
		if err := os.Remove(g.dir); err != nil {
			s.Errorf("there is something in it: %v", err)
		}
	})
	for _, name := range names {
		if g.most, err = os.OpenFile(filepath.Join(g.dir, name), os.O_WRONLY, 0); err == nil {
			s.Cleanup(func() { g.most.Close() })
			return g
		}
	}
	s.Skipf("needs a control group that bounds %s: %v", controller, err)
	return nil
}

// has bounds the group.
func (g *group) has(most int) {
	g.test.Helper()
	if _, err := unix.Pwrite(int(g.most.Fd()), []byte(strconv.Itoa(most)), 0); err != nil {
		g.test.Error(err)
	}
}

// add moves a process there.
func (g *group) add(pid int) error {
	return cgroups.WriteCgroupProc(g.dir, pid)
}
