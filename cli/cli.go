// Package cli is the nacre command. It reads files and flags, compiles plans
// with the core and hands them to an engine; it decides nothing itself.
//
// A command is a file: its options, its constructor, and what it does.
package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/room"
)

// App is the world that the commands live in: everything that a test may want
// to replace.
type App struct {
	In, Out, Err *os.File
	Environ      func() []string
	Program      string // path of the running nacre
	Version      string
	More         []*cobra.Command // further commands, wired by the program
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, app *App, args []string) int {
	root := Root(app)
	root.SetArgs(args)
	root.SetIn(app.In)
	root.SetOut(app.Out)
	root.SetErr(app.Err)
	cmd, err := root.ExecuteContextC(ctx)
	return app.report(err, cmd.CommandPath())
}

// Root is the whole tree of commands.
func Root(app *App) *cobra.Command {
	root := &cobra.Command{
		Use:   "nacre",
		Short: "Run AI agents, and any other program, in a sandbox of their own",
		Long: `Nacre runs a program in a container of its own. It can do exactly what its
manifest declares and your policy allows; all else is denied, and recorded.`,
		Example: `  nacre doctor                         what this machine has, and lacks
  nacre run --files . -- make test     run a program that may read this folder
  nacre plan --agent agent.yaml        what would be granted, and why
  nacre policy init                    begin a policy of your own`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.ArbitraryArgs,
		RunE:              func(cmd *cobra.Command, args []string) error { return unknown(cmd, args) },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.Version = app.version().line()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, "%s: %s", cmd.CommandPath(), err).WithHint("%s --help lists the flags", cmd.CommandPath())
	})
	root.AddCommand(roomy(newRun(app)), roomy(newLearn(app)), newPlan(app), newExplain(app), newPolicy(app), newSecret(app), newSkill(app), newDoctor(app), newHarness(app), roomy(newACP(app)),
		newPs(app), newExec(app), newLogs(app), newStats(app), newStop(app), newPosture(app), newAudit(app), newAttack(app),
		newSchema(app), newCompletion(app), newVersion(app), newExitCodes())
	root.AddCommand(app.More...)
	return root
}

// roomy has a command that starts sandboxes refuse first of all where too little is
// left for that.
func roomy(cmd *cobra.Command) *cobra.Command {
	cmd.PreRunE = func(*cobra.Command, []string) error { return room.Check() }
	return cmd
}

// unknown answers a group of commands that is called by itself.
func unknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	f := fault.New(fault.Usage, "%s has no command %q", cmd.CommandPath(), args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return f.WithHint("did you mean %s %s?", cmd.CommandPath(), near[0])
	}
	return f.WithHint("%s --help lists the commands", cmd.CommandPath())
}

// takes bounds the number of arguments, and says what they are.
func takes(least, most int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		return fault.New(fault.Usage, "%s: expected %s, found %s", cmd.CommandPath(), usage, counted(len(args), "argument")).
			WithHint("%s --help has examples", cmd.CommandPath())
	}
}
