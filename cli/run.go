package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/fault"
	"nacre/grant"
)

// runOptions are the flags of nacre run.
type runOptions struct {
	input
	app     *App
	timeout time.Duration
	tty     string
	events  string
	output  string
	quiet   bool
}

func newRun(app *App) *cobra.Command {
	o := &runOptions{app: app}
	cmd := &cobra.Command{
		Use:   "run [flags] [--] COMMAND [ARG]...",
		Short: "Run a program in a sandbox of its own",
		Long: `Run a program in a sandbox of its own: without network, with private places
that vanish at the end, and with nothing of yours but what is granted, by
--files and its like or by a manifest that your policy allows. With --with it
runs an agent that Nacre knows how to install and run, on a task or, without
one, on your terminal; nacre run --with lists them.

Without --files and without a manifest it asks, on a terminal, whether to grant
the current folder; where there is no terminal, nothing is granted.

On a terminal, Ctrl-C goes to the program; Ctrl-] three times within a second ends
it. A signal that is sent to nacre run goes to the program: HUP, INT, QUIT and
TERM, USR1, USR2, ALRM, VTALRM, CONT, IO, PWR, ABRT, TRAP and the real-time
ones. After HUP and TERM it has 10 seconds to end, after a second INT within 2 seconds none.
TSTP, TTIN and TTOU stop neither.`,
		Example: `  nacre run --files . -- make test          read the current folder
  nacre run --files .:write -- claude       let an agent work in it
  nacre run --agent agent.yaml              run what a manifest declares
  nacre run --with codex --files .:write -- "fix the failing test"
  nacre run --with codex --files .:write --output json -- "fix the failing test"
  nacre run --with codex --files .:write --home work --resume -- "go on"
  nacre run --limit memory=1GiB --timeout 10m -- python3 script.py
  nacre run --json-events 3 -- true 3>events.jsonl`,
		Args: bareTTY,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			app.stay = func() error { return o.run(ctx, args) }
			return nil
		},
	}
	o.flags(app, cmd)
	o.with.flags(cmd)
	cmd.SetFlagErrorFunc(app.withoutName)
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.DurationVar(&o.timeout, "timeout", 0, "end it after this time, such as 10m; can only shorten the plan's")
	f.StringVarP(&o.tty, "tty", "t", "auto", "give it a terminal: auto, always or never")
	f.Lookup("tty").NoOptDefVal = "always"
	f.StringVar(&o.events, "json-events", "", "write what happens as JSON lines to a `FD|FILE`")
	f.StringVar(&o.output, "output", "", "with --with: print what came of the task as text or json, in place of what the agent prints")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)) // it fails only for a flag that there is not
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print no warnings, and not what was denied")
	return roomy(cmd)
}

func (o *runOptions) run(ctx context.Context, command []string) (err error) {
	events, err := openEvents(o.events)
	if err != nil {
		return err
	}
	defer func() { err = events.close(err) }()
	tty, err := o.app.useTTY(o.tty)
	if err != nil {
		return err
	}
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	now := o.begin(o.app, who)
	if o.with.output, err = readsOutput(o.output, o.with.skill); err != nil {
		return err
	}
	o.with.decide(tty && o.output == "", command)
	p, asked, err := o.planned(who, command)
	if err != nil {
		events.failed(err)
		return err
	}
	held, err := o.with.ready(ctx, o.app, who, asked, o.quiet)
	if err = o.app.refused(who, asked, err); err != nil {
		events.failed(err)
		return err
	}
	defer held.Close()
	events.planned(p)
	if !o.quiet {
		o.app.warn(p.Warnings)
	}
	s := &session{app: o.app, owner: who, plan: p, name: o.name, tty: tty, quiet: o.quiet, events: events,
		live: now, server: o.tool != "", keeping: o.with.kept != ""}
	if o.with.alone() {
		s.noInput, s.tty = true, tty && o.tty == "always"
	}
	now.start(asked, p)
	read := o.reading(s)
	exit, err := s.run(ctx)
	if err = errors.Join(err, read(exit, err)); err != nil {
		events.failed(err)
		return err
	}
	return statusCode(exit)
}

// planned compiles the plan, after asking what has to be asked, and returns what
// it was made of. What refuses it is recorded.
func (o *runOptions) planned(who owner, command []string) (p nacre.Plan, c grant.Input, err error) {
	defer func() { err = o.app.refused(who, c, err) }()
	if o.agent+o.with.skill+o.tool == "" && len(command) == 0 {
		return p, c, fault.New(fault.Usage, "there is no command to run").
			WithHint("nacre run [flags] -- COMMAND, or nacre run --agent agent.yaml")
	}
	if o.timeout < 0 {
		return p, c, fault.New(fault.Usage, "--timeout: expected a time such as 10m, found %v", o.timeout)
	}
	c, err = o.gather(o.app, who, command)
	if err != nil {
		return p, c, err
	}
	if o.agent+o.tool == "" && len(o.files) == 0 && o.app.interactive() {
		if c.Files, err = o.app.ask(c); err != nil {
			return p, c, err
		}
	}
	if err = o.declare(o.app, who, &c); err != nil {
		return p, c, err
	}
	p, err = grant.Compile(c)
	if err == nil && o.timeout > 0 && o.timeout < p.Limits.Time {
		if err := grant.ParseLimit(&c.Limits, "time="+o.timeout.String()); err != nil {
			return p, c, flagFault("--timeout", err)
		}
		p, err = grant.Compile(c)
	}
	return p, c, err
}
