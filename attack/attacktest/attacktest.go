// Package attacktest attacks an engine in a test: build the program, run it
// against a template or a Command, and fail for every probe that escaped.
package attacktest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"nacre/attack"
	"nacre/attack/wire"
)

// programVariable names a program that is built already, for a test run by a
// user who has no Go.
const programVariable = "NACRE_ATTACK_PROGRAM"

// Program builds nacre-attack, static as it is shipped, and answers its path.
func Program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(programVariable); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "nacre-attack")
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "nacre/cmd/nacre-attack")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("nacre-attack does not build (or set %s): %v\n%s", programVariable, err, out)
	}
	return path
}

// Run attacks and logs the scoreboard. Secrets are planted in folders of the
// test's own unless the options name places.
func Run(t testing.TB, o attack.Options) attack.Report {
	t.Helper()
	if o.Program == "" {
		o.Program = Program(t)
	}
	if o.Places == nil {
		o.Places = []string{t.TempDir()}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	report, err := attack.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	var board bytes.Buffer
	report.Table(&board)
	t.Log("\n" + board.String())
	return report
}

// Held fails the test for everything that a sandbox let through, but for the
// probes in known, each with its reason. A known one that is contained fails
// too, so that the list cannot outlive its reasons.
func Held(t testing.TB, r attack.Report, known map[string]string) {
	t.Helper()
	for _, e := range r.Entries {
		_, excused := known[e.ID]
		switch bad := e.Verdict == wire.Escaped || e.Verdict == wire.Error; {
		case bad && !excused:
			t.Errorf("%s: %s: %s", e.ID, e.Verdict, e.Evidence)
		case !bad && excused && e.Verdict == wire.Contained:
			t.Errorf("%s is contained: take it off the list (%s)", e.ID, known[e.ID])
		}
	}
	for _, l := range r.Leftovers {
		t.Errorf("left behind: %s", l)
	}
}
