// Package cli is the nacre command. It reads files and flags, compiles plans
// with the core and hands them to an engine; it decides nothing itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/fault"
)

// App is the world that the commands live in: everything that a test may want
// to replace.
type App struct {
	In      *os.File
	Out     *os.File
	Err     *os.File
	Environ func() []string
	Program string // path of the running nacre
	Version string
}

// Exit codes beside those of the agent's command, which are passed on as they
// are (docker run uses the same).
const (
	exitFault    = 125 // Nacre itself failed, or refused
	exitNotExec  = 126 // the command cannot be executed
	exitNotFound = 127 // the command was not found
)

// exitError carries the agent's exit code through cobra.
type exitError struct{ exit nacre.Exit }

func (e exitError) Error() string { return fmt.Sprintf("the command ended with %d", e.exit.Code) }

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, app *App, args []string) int {
	root := newRoot(app)
	root.SetArgs(args)
	root.SetIn(app.In)
	root.SetOut(app.Out)
	root.SetErr(app.Err)
	return app.report(root.ExecuteContext(ctx))
}

// report prints an error in two lines and gives its exit code.
func (app *App) report(err error) int {
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.exit.Code
	}
	fmt.Fprintln(app.Err, "error:", err)
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintln(app.Err, "hint:", hint)
	}
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

func newRoot(app *App) *cobra.Command {
	root := &cobra.Command{
		Use:   "nacre",
		Short: "Run AI agents, and any other program, in a sandbox of their own",
		Long: `Nacre runs a program in a container of its own. It can do exactly what its
manifest declares and your policy allows; all else is denied, and recorded.

Exit codes: that of the program; 125 where nacre fails or refuses, 126 where
the program cannot be executed, 127 where it is not found; 128 and the signal
where it was ended by one.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newRun(app))
	return root
}
