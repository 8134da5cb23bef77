package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
)

// TestReport: no error is printed without what to do about it, whatever it is; one of
// several has its own.
func TestReport(t *testing.T) {
	refusal := func(n int) error {
		return fault.Wrap(fault.Denied, &compile.Refusal{Decisions: make([]nacre.Decision, n)}, "agent.yaml: the policy does not allow")
	}
	for _, c := range []struct {
		err  error
		code int
		want []string // the lines, by what they hold
	}{
		{nil, 0, nil},
		{status(3), 3, nil},
		{errors.New("a bug"), 125, []string{"error: a bug", "hint: this is a fault of nacre's own"}},
		{fault.New(fault.Usage, "no"), 125, []string{"error: no", "hint: nacre ps --help"}},
		{fault.New(fault.Kind("new"), "no"), 125, []string{"error: no", "hint: this is a fault of nacre's own"}},
		{fault.New(fault.Missing, "no").WithHint("look\nthere"), 127, []string{"error: no", `hint: look\nthere`}},
		{&os.PathError{Op: "open", Path: "/x", Err: unix.EMFILE}, 125, []string{"error: open /x", "hint: nacre may open no more files"}},
		{fault.New(fault.Invalid, "%s: path: no", nacre.OriginCommandLine), 125, []string{"error: command line: path", "hint: nacre ps --help"}},
		{errors.Join(fault.New(fault.Command, "a"), fault.New(fault.Leftover, "b")), 126, []string{"error: a", "hint: ", "error: b", "hint: the next run"}},
		{refusal(1), 125, []string{"error: agent.yaml", "hint: no policy"}},
		{refusal(2), 125, []string{"error: agent.yaml", "", "no policy", "", "no policy", "hint: no line of a policy"}},
	} {
		file, err := os.Create(filepath.Join(t.TempDir(), "said"))
		if err != nil {
			t.Fatal(err)
		}
		app := &App{Err: file}
		code := app.report(c.err, "nacre ps")
		said, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.FieldsFunc(string(said), func(r rune) bool { return r == '\n' })
		good := code == c.code && len(lines) == len(c.want)
		for i := range lines {
			good = good && strings.Contains(lines[i], c.want[i])
		}
		if !good {
			t.Errorf("%v: %d, %q; want %d, %q", c.err, code, lines, c.code, c.want)
		}
	}
}
