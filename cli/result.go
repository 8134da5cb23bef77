package cli

import (
	"fmt"
	"io"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/harness/result"
	"nacre/terminal"
)

// readsOutput reads --output: is what the agent prints to be summed up?
func readsOutput(word, skill string) (bool, error) {
	switch {
	case word == "":
		return false, nil
	case skill == "":
		return false, fault.New(fault.Usage, "--output goes with --with").WithHint("nacre run --with codex --output json -- \"fix the failing test\"; without --with, what the program prints comes as it is")
	case word != "text" && word != "json":
		return false, fault.New(fault.Usage, "--output: expected text or json, found %q", word)
	}
	return true, nil
}

// summed is what --output json prints.
type summed struct {
	result.Result
	Exit   int    `json:"exit"`
	Reason string `json:"ended,omitempty"` // why, where that was not its own doing
}

// reading has what the agent prints read, if that is wanted. What it returns prints
// what came of it, once the run is over.
func (o *runOptions) reading(s *session) func(nacre.Exit, error) error {
	if o.output == "" {
		return func(nacre.Exit, error) error { return nil }
	}
	from, to := io.Pipe()
	s.out, s.tty = to, false
	read := make(chan result.Result, 1)
	go func() {
		r, _ := result.Read(from, o.with.harness.Output) // a pipe of ours does not fail
		read <- r
	}()
	return func(exit nacre.Exit, failed error) error {
		to.Close()
		r := <-read
		if failed != nil {
			return nil
		}
		if o.output == "text" {
			return o.app.printResult(r)
		}
		t := summed{Result: r, Exit: exit.Code}
		if whyEnded(exit, s.plan.Limits) != "" {
			t.Reason = exit.Reason
		}
		return o.app.printJSON(t)
	}
}

// printResult prints an agent's last words, and what it says went wrong.
func (app *App) printResult(r result.Result) error {
	w, done := terminal.Guarded(app.Out)
	defer done()
	if r.Error != "" {
		app.note("the agent says what went wrong: %s", r.Error)
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(r.Text, "\n"))
	return err
}
