package cli

import (
	"context"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/fault"
	"nacre/grant"
	"nacre/harness"
	"nacre/policy"
)

// acpOptions are the flags of nacre acp.
type acpOptions struct {
	input
	app *App
}

func newACP(app *App) *cobra.Command {
	o := &acpOptions{app: app}
	cmd := &cobra.Command{
		Use:   "acp --with HARNESS --files FOLDER[:write] [flags] [-- ARG...]",
		Short: "Let an editor drive an agent in a sandbox, by the Agent Client Protocol",
		Long: `Run an agent in a sandbox and speak the Agent Client Protocol with an editor on
standard input and output: the editor starts this command as it would start the
agent. Granted folders appear inside at the path that they have outside.

The agent works with its own files and programs, inside; the editor reads and
writes no files for it, runs nothing, and starts no tool servers.`,
		Example: `  nacre acp --with gemini-cli --files .:write
  nacre acp --with command --files ~/project:write -- my-acp-agent --stdio`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(app, cmd)
	o.with.flags(cmd)
	cmd.SetFlagErrorFunc(app.withoutName)
	cmd.Flags().SetInterspersed(false)
	return roomy(cmd)
}

func (o *acpOptions) run(ctx context.Context, words []string) error {
	if o.with.skill == "" || len(o.files) == 0 {
		return fault.New(fault.Usage, "expected --with and --files").WithHint("such as: nacre acp --with gemini-cli --files .:write")
	}
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	o.with.mode = harness.ACP
	now := o.begin(o.app, who)
	p, c, folders, err := o.planned(who, words)
	if err != nil {
		return err
	}
	held, err := o.with.ready(ctx, o.app, who, c, false)
	if err = o.app.refused(who, c, err); err != nil {
		return err
	}
	defer held.Close()
	o.app.warn(p.Warnings)
	s := &session{app: o.app, owner: who, plan: p, name: o.name, live: now, quiet: true, keeping: o.with.kept != ""}
	now.start(c, p)
	return converse(ctx, s, folders)
}

// planned compiles the plan, and returns what it was made of and which folders the editor
// may mean. What refuses it is recorded.
func (o *acpOptions) planned(who owner, words []string) (p nacre.Plan, c grant.Input, folders []string, err error) {
	defer func() { err = o.app.refused(who, c, err) }()
	if c, err = o.gather(o.app, who, words); err != nil {
		return p, c, nil, err
	}
	if folders, err = o.samePaths(who, c); err != nil {
		return p, c, nil, err
	}
	if err = o.declare(o.app, who, &c); err != nil {
		return p, c, nil, err
	}
	p, err = grant.Compile(c)
	return p, c, folders, err
}

// samePaths has what the owner grants appear where it is on the host, so that the
// editor and the agent mean the same by a path.
func (o *acpOptions) samePaths(who owner, c grant.Input) (folders []string, err error) {
	for i := range o.files {
		f := &c.Files[i]
		if f.Preset != "" {
			continue
		}
		if f.At != "" {
			return nil, fault.New(fault.Usage, "--files: @/INSIDE does not go with an editor: both mean the same by a path").
				WithHint("leave @/INSIDE out: the folder appears where it is outside")
		}
		if f.At, err = policy.Resolve(f.Path, who.cwd, who.home, f.Origin); err != nil {
			return nil, err
		}
		folders = append(folders, f.At)
	}
	return folders, nil
}
