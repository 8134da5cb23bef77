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

	stay func() error // what a command that stays does once the tree of commands is let go
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, app *App, args []string) int {
	root := rootFor(app, args)
	root.SetArgs(args)
	root.SetIn(app.In)
	root.SetOut(app.Out)
	root.SetErr(app.Err)
	cmd, err := root.ExecuteContextC(ctx)
	path := cmd.CommandPath()
	if app.stay != nil {
		err = app.stay()
	}
	return app.report(err, path)
}

// Root is the whole tree of commands.
func Root(app *App) *cobra.Command {
	root := bare(app)
	for _, c := range commands {
		root.AddCommand(c.make(app))
	}
	root.AddCommand(app.More...)
	return root
}

// rootFor is the tree with no more commands than args need: making them all is a tenth
// of what a start allocates, and a run holds what it was begun with.
func rootFor(app *App, args []string) *cobra.Command {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name == args[0] {
				root := bare(app)
				root.AddCommand(c.make(app))
				return root
			}
		}
	}
	return Root(app)
}

// commands are Nacre's own, each with its name.
var commands = []struct {
	name string
	make func(*App) *cobra.Command
}{
	{"run", newRun}, {"learn", newLearn}, {"plan", newPlan}, {"explain", newExplain}, {"policy", newPolicy},
	{"secret", newSecret}, {"skill", newSkill}, {"doctor", newDoctor}, {"harness", newHarness}, {"acp", newACP},
	{"ps", newPs}, {"exec", newExec}, {"logs", newLogs}, {"stats", newStats}, {"stop", newStop}, {"posture", newPosture},
	{"audit", newAudit}, {"attack", newAttack}, {"schema", newSchema}, {"completion", newCompletion}, {"version", newVersion},
	{"exit-codes", newExitCodes},
}

// bare is the tree without its commands.
func bare(app *App) *cobra.Command {
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
	root.SetHelpCommand(newHelp())
	root.Version = app.version().line()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, "%s: %s", cmd.CommandPath(), err).WithHint("%s --help lists the flags", cmd.CommandPath())
	})
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
