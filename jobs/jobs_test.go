package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/blueprint"
)

func table() *Table {
	return New(context.Background(), func(w io.Writer, p []byte) (int, error) { return w.Write(p) })
}

// TestOutputHandedOn: an agent can pass its end of an output pipe to somebody
// outside its sandbox, who keeps it. The end must not wait for that.
func TestOutputHandedOn(t *testing.T) {
	var out bytes.Buffer
	jobs := table()
	j := jobs.Add(nacre.Streams{Out: &out})
	r, kept, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	j.Drain(1, r)
	if _, err := kept.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	jobs.Hurry()
	done := make(chan struct{})
	go func() {
		if err := j.Copied(); err != nil {
			t.Error(err)
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("still waiting for a pipe that a stranger holds")
	}
	if out.String() != "last words" || len(jobs.outputs) != 0 {
		t.Errorf("output %q, %d pipes left", out.String(), len(jobs.outputs))
	}
}

// failing is a writer with this error.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestLostOutput: what cannot be written is told, once for each stream; that nobody reads
// any more is not.
func TestLostOutput(t *testing.T) {
	for _, c := range []struct {
		out, err error
		want     int
	}{
		{unix.ENOSPC, nil, 1}, {&fs.PathError{Op: "write", Path: "/dev/stdout", Err: unix.EIO}, nil, 1}, {unix.ENOSPC, unix.EFBIG, 2},
		{unix.EPIPE, unix.ECONNRESET, 0}, {&fs.PathError{Op: "write", Path: "x", Err: unix.EPIPE}, io.ErrClosedPipe, 0}, {unix.EPIPE, unix.EDQUOT, 1},
	} {
		j := table().Add(nacre.Streams{Out: failing{c.out}, Err: failing{c.err}})
		for descriptor, fails := range map[int]error{1: c.out, 2: c.err} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			if fails != nil {
				_, _ = io.WriteString(w, "last words")
			}
			w.Close()
			j.Drain(descriptor, r)
		}
		err := j.Copied()
		if n := strings.Count(fmt.Sprint(err), "not all of what the program wrote"); n != c.want || (err != nil) != (n > 0) {
			t.Errorf("%v, %v: %d: %v", c.out, c.err, n, err)
		}
		if err != nil && fault.KindOf(err) != fault.Exhausted {
			t.Errorf("%v: of kind %q", err, fault.KindOf(err))
		}
	}
}

// TestHostileNews: an init that says anything about anybody changes nothing but
// its own jobs, each once, and gets no descriptor taken that nobody waits for.
func TestHostileNews(t *testing.T) {
	jobs := table()
	j := jobs.Add(nacre.Streams{})
	for _, m := range []blueprint.Message{
		{Kind: blueprint.Started, Job: -1}, {Kind: blueprint.Ended, Job: 1 << 40, Number: 7}, {Kind: "nonsense"},
		{Kind: blueprint.Terminal}, {Kind: blueprint.Confined}, {Kind: blueprint.Refused, Number: 1 << 20, Error: "no"},
		{Kind: blueprint.Started}, {Kind: blueprint.Ended, Number: 7 << 8}, {Kind: blueprint.Ended, Number: 9 << 8}, {Kind: blueprint.Started},
	} {
		if rest := jobs.Hear(m, []int{-1}); len(rest) != 1 {
			t.Errorf("%+v: its descriptor was taken", m)
		}
	}
	if err := j.Started(); fault.KindOf(err) != fault.Command {
		t.Errorf("started: %v, and the first word was that it was refused", err)
	}
	if status, known := j.Ended(); !known || status.ExitStatus() != 7 {
		t.Errorf("ended with %v, %v", status, known)
	}
	jobs.Lost()
	if _, known := j.Ended(); known {
		t.Error("it ended twice")
	}
	if rest := jobs.Hear(blueprint.Message{Kind: blueprint.Ended}, []int{-1}); len(rest) != 1 {
		t.Error("it was heard after it was lost")
	}
}

// TestLost: whoever waits is told, and whether it had begun: what writes too much has.
func TestLost(t *testing.T) {
	for reason, begun := range map[string]bool{"": false, "stopped": false, "output-limit": true} {
		jobs := table()
		j := jobs.Add(nacre.Streams{})
		jobs.Blame(reason)
		jobs.Lost()
		if err := j.Started(); (err == nil) != begun {
			t.Errorf("%q: %v", reason, err)
		}
		if _, known := j.Ended(); known {
			t.Errorf("%q: it is known how it ended", reason)
		}
	}
}

// TestBecause: the first reason counts, and before a want of memory, which only what
// was killed can have ended of.
func TestBecause(t *testing.T) {
	starved := func() (nacre.Usage, error) { return nacre.Usage{OOMKills: 1}, nil }
	unknown := func() (nacre.Usage, error) { return nacre.Usage{OOMKills: 1}, io.EOF }
	killed, exited := nacre.Exit{Signal: 9, Reason: "killed"}, nacre.Exit{Reason: "exited"}
	for _, c := range []struct {
		exit    nacre.Exit
		usage   func() (nacre.Usage, error)
		reasons []string
		want    string
	}{
		{exited, starved, nil, "exited"}, {killed, starved, nil, "memory-limit"}, {killed, unknown, nil, "killed"},
		{killed, starved, []string{"timeout", "stopped"}, "timeout"}, {exited, unknown, []string{"", "stopped"}, "stopped"},
	} {
		jobs := table()
		for _, reason := range c.reasons {
			jobs.Blame(reason)
		}
		got, kills := jobs.Because(c.exit, c.usage), int64(0)
		if _, err := c.usage(); err == nil {
			kills = 1
		}
		if got.Reason != c.want || got.Signal != c.exit.Signal || got.OOMKills != kills {
			t.Errorf("%+v: %+v", c, got)
		}
		if _, said := Details(got)["oom_kills"]; said != (kills > 0) {
			t.Errorf("%+v: recorded as %v", got, Details(got))
		}
	}
}

// TestUnsent: what is too long is said to be that; anything else is what it is.
func TestUnsent(t *testing.T) {
	long := blueprint.Message{Kind: blueprint.Run, Command: []string{"/bin/echo", strings.Repeat("x", 100_000)}, Env: []string{"A=" + strings.Repeat("y", 40_000)}}
	for _, c := range []struct {
		m    blueprint.Message
		want string
	}{
		{long, "cannot start /bin/echo: the command and its environment are too long: 140"},
		{blueprint.Message{Kind: blueprint.Run, Command: []string{"true"}}, "cannot start true: EOF"},
	} {
		err := Unsent(c.m, io.EOF)
		if fault.KindOf(err) != fault.Command || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "EOF") != errors.Is(err, io.EOF) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestExit: as docker run does.
func TestExit(t *testing.T) {
	for _, c := range []struct {
		status syscall.WaitStatus
		known  bool
		want   nacre.Exit
	}{
		{0, true, nacre.Exit{Reason: "exited"}},
		{3 << 8, true, nacre.Exit{Code: 3, Reason: "exited"}},
		{15, true, nacre.Exit{Code: 143, Signal: 15, Reason: "signalled"}},
		{0, false, nacre.Exit{Code: 137, Signal: 9, Reason: "killed"}},
	} {
		if got := Exit(c.status, c.known); got != c.want {
			t.Errorf("%v, %v: %+v, want %+v", c.status, c.known, got, c.want)
		}
	}
}

// TestNoInput: a command without input reads its end at once.
func TestNoInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	table().Add(nacre.Streams{}).Feed(w)
	if b, err := io.ReadAll(r); err != nil || len(b) != 0 {
		t.Errorf("%q, %v", b, err)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		command, env []string
		want         string
	}{
		{[]string{"ls", "-l"}, []string{"A=b", "PATH=/usr/bin:/bin"}, "[/usr/bin/ls /bin/ls]"},
		{[]string{"ls"}, []string{"PATH=bin::/bin"}, "[/work/bin/ls /work/ls /bin/ls]"},
		{[]string{"ls"}, []string{"XPATH=/bin"}, "[]"},
		{nil, []string{"PATH=/bin"}, "[]"},
	} {
		if got := fmt.Sprint(Places(c.command, "/work", c.env)); got != c.want {
			t.Errorf("%v with %v: %s, want %s", c.command, c.env, got, c.want)
		}
	}
}
