package cli_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deaf makes an agent that listens to no signal, and says so.
const deaf = `trap "" TERM HUP INT PIPE; echo ready >&2; `

// What an agent that does not read says.
const (
	asks  = `echo '{"jsonrpc":"2.0","id":1,"method":"fs/read_text_file"}'; `
	tells = `echo '{"jsonrpc":"2.0","method":"session/update","params":{}}'; `
)

// TestEditorLeaves: an agent that never reads its input ends soon after its editor has
// left, whatever else it does.
func TestEditorLeaves(t *testing.T) {
	gone := func(e *talker) { e.in.Close() }
	told := func(s syscall.Signal) func(*talker) { return func(e *talker) { _ = e.cmd.Process.Signal(s) } }
	cases := []struct {
		name, agent string
		leave       func(*talker)
		unread      bool // what the agent says
		code        int
	}{
		{"the editor leaves", deaf + `while :; do ` + asks + `done`, gone, false, 137},
		{"SIGHUP", deaf + `while :; do sleep 1; done`, told(syscall.SIGHUP), false, 137},
		{"SIGTERM, and does not read", deaf + `while :; do ` + tells + `done`, told(syscall.SIGTERM), true, 137},
		{"the agent leaves", deaf + `(while :; do ` + asks + `done) & sleep 1; exit 7`, func(*talker) {}, false, 7},
		{"the agent is all ear", `echo ready >&2; cat >/dev/null; exit 8`, gone, false, 8},
	}
	var all []*talker
	for _, c := range cases {
		e := talking(t, c.agent, c.unread)
		e.say() // of which the agent's pipe holds a part: all is read but the rest of this one
		c.leave(e)
		all = append(all, e)
	}
	for i, e := range all {
		if got := e.end(); got != cases[i].code {
			t.Errorf("%s: exit code %d, expected %d: %s", cases[i].name, got, cases[i].code, e.rest())
		}
	}
}

// talker is an editor that does not look at what it is told.
type talker struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	told  chan string // all that its owner is told, which is always read: pipes may be short
	ended chan struct{}
}

// talking starts nacre acp with an agent, and waits until that is ready.
func talking(t *testing.T, agent string, unread bool) *talker {
	t.Helper()
	e := &talker{t: t, told: make(chan string, 1), ended: make(chan struct{})}
	e.cmd = exec.Command("acp", "--with", "command", "--files", ".:write", "--", "sh", "-c", agent)
	e.cmd.Dir = folder(t)
	e.cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir(), "XDG_STATE_HOME=", "XDG_CONFIG_HOME=")
	theirs, in := pipe(t)
	out, said := pipe(t)
	errs, told := pipe(t)
	e.in = in
	e.cmd.Stdin, e.cmd.Stdout, e.cmd.Stderr = theirs, said, told
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{theirs, said, told} {
		f.Close()
	}
	go func() { _ = e.cmd.Wait(); close(e.ended) }()
	if !unread {
		go func() { _, _ = io.Copy(io.Discard, out) }()
	}
	t.Cleanup(func() {
		_ = e.cmd.Process.Kill()
		<-e.ended
	})
	lines := bufio.NewReader(errs)
	for line := ""; line != "ready\n"; {
		var err error
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err, line)
		}
	}
	go func() {
		b, _ := io.ReadAll(lines)
		e.told <- string(b)
	}()
	return e
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// say says more than fits into pipes, and returns once nacre has read it.
func (e *talker) say() {
	e.t.Helper()
	if _, err := e.in.WriteString(`{"jsonrpc":"2.0","id":1,"method":"x","params":{"x":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n"); err != nil {
		select {
		case <-e.ended: // an agent that leaves does not wait for that
		default:
			e.t.Fatal(err, e.rest())
		}
	}
}

// rest is what there is left to read of what the owner is told.
func (e *talker) rest() string {
	return <-e.told
}

// end is the exit code with which it ends.
func (e *talker) end() int {
	e.t.Helper()
	select {
	case <-e.ended:
		return e.cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		e.t.Fatal("it has not ended")
		return -1
	}
}
