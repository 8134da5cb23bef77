package cli

import (
	"errors"
	"fmt"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/fault/advice"
	"nacre/remedy"
	"nacre/terminal"
)

// Exit codes beside those of the agent's command, which are passed on as they
// are (docker run uses the same).
const (
	exitNo       = 1   // the answer is no: explain, doctor, posture, plan --diff
	exitFault    = 125 // Nacre itself failed, or refused
	exitNotExec  = 126 // the command cannot be executed
	exitNotFound = 127 // the command was not found
)

// status carries an exit code through cobra: nothing is to be printed.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusCode is how a program ended, as our own exit code.
func statusCode(e nacre.Exit) error {
	if e.Code == 0 {
		return nil
	}
	return status(e.Code)
}

// statusOf is the status of a yes or a no.
func statusOf(yes bool) error {
	if yes {
		return nil
	}
	return status(exitNo)
}

// report prints an error of a command in two lines, what it is and what to do about it,
// and gives its exit code.
func (app *App) report(err error, command string) int {
	var code status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		code := 0
		for _, e := range joined.Unwrap() {
			code = max(code, app.report(e, command))
		}
		return code
	}
	var refusal *compile.Refusal
	if errors.As(err, &refusal) {
		app.refusal(err, refusal.Decisions)
		return exitFault
	}
	if fault.KindOf(err) == fault.Invalid && strings.HasPrefix(err.Error(), nacre.OriginCommandLine+":") {
		err = advice.Or(err, command+" --help lists the flags, and what each takes")
	}
	fmt.Fprintf(app.Err, "error: %s\nhint: %s\n", oneLine(err.Error()), oneLine(advice.Of(err, command)))
	return exitCode(err)
}

// exitCode maps kinds of faults, once.
func exitCode(err error) int {
	switch fault.KindOf(err) {
	case fault.Command:
		return exitNotExec
	case fault.Missing:
		return exitNotFound
	default:
		return exitFault
	}
}

// refusal prints everything that was denied, each with what would allow it.
func (app *App) refusal(err error, denied []nacre.Decision) {
	what := whatOf(err) // the file, and that the policy does not allow
	if len(denied) == 1 {
		d := denied[0]
		fmt.Fprintf(app.Err, "error: %s %s\nhint: %s\n", oneLine(what), oneLine(refused(d)), terminal.Escaped(remedyOf(d)))
		return
	}
	fmt.Fprintf(app.Err, "error: %s %d things:\n", oneLine(what), len(denied))
	for _, d := range denied {
		fmt.Fprintf(app.Err, "  %s\n    %s\n", oneLine(refused(d)), terminal.Escaped(remedyOf(d)))
	}
	fmt.Fprintln(app.Err, "hint: "+app.altogether(denied))
}

// altogether is what to do about several denials: whose policy their lines belong into.
func (app *App) altogether(denied []nacre.Decision) string {
	lines, above := 0, 0
	for _, d := range denied {
		if remedy.IsLine(d.Remedy) {
			lines++
		}
		if remedy.Above(d.Remedy) {
			above++
		}
	}
	switch {
	case lines == 0:
		return "no line of a policy allows any of this; do what is said of each, or ask for less"
	case above == 0:
		return "nacre policy allow writes such lines into your policy; nacre explain says more about each"
	}
	ceiling := "the administrator's policy"
	if who, err := app.owner(); err == nil {
		ceiling += ", " + oneLine(who.ceilingPath())
	}
	if above == lines {
		return "your own policy does not decide this alone: " + ceiling + ", has to change first; ask whoever keeps it, or ask for less"
	}
	return "nacre policy allow writes such lines into your policy; what is said of the ceiling has to change in " + ceiling
}

func refused(d nacre.Decision) string {
	return fmt.Sprintf("%s %s: %s", d.Capability, d.Subject, reasonOf(d))
}

// reasonOf is why, and where that is written.
func reasonOf(d nacre.Decision) string {
	if d.Origin.Line == 0 {
		return d.Reason
	}
	return d.Reason + " (" + d.Origin.String() + ")"
}

func remedyOf(d nacre.Decision) string {
	if d.Remedy == "" {
		return "no policy can allow this; ask for less"
	}
	if !remedy.IsLine(d.Remedy) {
		return d.Remedy
	}
	return "the policy would allow it with: " + d.Remedy
}

// oneLine makes a message safe for a terminal, on one line.
func oneLine(s string) string { return terminal.Clean(strings.TrimSpace(s)) }
