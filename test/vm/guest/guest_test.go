package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"nacre/test/vm/job"
)

func TestStepCommand(t *testing.T) {
	s := job.Step{User: "tester", Command: "echo $$ ${A}", Dir: "/srv/vm", Timeout: 90 * time.Second,
		Env: map[string]string{"B": "2", "A": "$1"}}
	session := stepCommand(s).Args
	if session[0] != "systemd-run" || !slices.Contains(session, "--uid=tester") {
		t.Errorf("session: %q", session)
	}
	if last := session[len(session)-1]; last != "echo $$$$ $${A}" {
		t.Errorf("systemd would expand %q", last)
	}
	s.Bare = true
	bare := stepCommand(s).Args
	if got := bare[len(bare)-1]; bare[0] != "setpriv" || got != s.Command {
		t.Errorf("bare: %q", bare)
	}
	if !strings.Contains(strings.Join(bare, " "), "env A=$1 B=2 /bin/sh") || !slices.Contains(bare, "90") {
		t.Errorf("bare: %q", bare)
	}
}

func TestCapture(t *testing.T) {
	tests := map[string]struct {
		command, output string
		exit            int
	}{
		"both streams": {"echo a; echo b >&2", "a\nb\n", 0},
		"exit code":    {"exit 9", "", 9},
		"signal":       {"kill -9 $$", "Killed\n", 137},
		"timeout":      {"exec sleep 60", "", 124},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, exit := capture(exec.Command("/bin/sh", "-c", wrapper, "step", "1", test.command))
			if out != test.output && name != "signal" || exit != test.exit {
				t.Errorf("%q, exit %d; want %q, exit %d", out, exit, test.output, test.exit)
			}
		})
	}
	if out, exit := capture(exec.Command("/no/such/program")); exit != 127 || out == "" {
		t.Errorf("no program: %q, exit %d", out, exit)
	}
}

func TestCaptureKeepsTheEnd(t *testing.T) {
	out, exit := capture(exec.Command("/bin/sh", "-c", "head -c 5000000 /dev/zero; echo end"))
	if exit != 0 || len(out) > maxOutput+100 || !strings.HasSuffix(out, "end\n") || !strings.HasPrefix(out, "(start cut off)") {
		t.Errorf("%d bytes, exit %d", len(out), exit)
	}
}

func TestResultsAreLines(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"a", "b"} {
		if err := (results{f}).write(job.Result{Name: name, Output: "x\ny"}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(f.Name())
	if err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("%q, %v", b, err)
	}
}
