package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/explain"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/load"
	"nacre/terminal"
	"nacre/toolserver"
)

type planOptions struct {
	input
	app    *App
	asJSON bool
	diff   string
	of     string // a running sandbox
}

func newPlan(app *App) *cobra.Command {
	o := &planOptions{app: app}
	cmd := &cobra.Command{
		Use:   "plan [flags] [--] [COMMAND [ARG]...]",
		Short: "Show what a run would be granted, and why; nothing is run",
		Long: `Show what a run would be granted: each thing with its reason, where it was asked
for and where it was allowed; the limits; and a warning for each loosening.

With --running, show what a running sandbox may do now: the policy may have changed
since it began.

With --diff, show what changes in authority against a plan saved by --json, and
end with 1 if anything is added.`,
		Example: `  nacre plan --agent agent.yaml
  nacre plan --files .:write -- make
  nacre plan --agent agent.yaml --json > plan.json
  nacre plan --agent agent.yaml --diff plan.json
  nacre plan --running k3x9a2bc`,
		RunE: func(_ *cobra.Command, args []string) error { return o.run(args) },
	}
	o.flags(app, cmd)
	o.with.flags(cmd)
	cmd.SetFlagErrorFunc(app.withoutName)
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the plan as JSON")
	cmd.Flags().StringVar(&o.diff, "diff", "", "compare with the plan in `OLD.json`")
	cmd.Flags().StringVar(&o.of, "running", "", "the plan of the running sandbox `ID`, as it holds now")
	_ = cmd.RegisterFlagCompletionFunc("running", app.completeRunning) // it fails only for a flag that there is not
	return cmd
}

// plan is the plan that is asked for.
func (o *planOptions) plan(command []string) (p nacre.Plan, err error) {
	if o.of != "" {
		if o.agent != "" || len(command) > 0 {
			return p, fault.New(fault.Usage, "--running: a running sandbox has its command").WithHint("nacre plan --running %s", o.of)
		}
		_, box, err := o.app.reach(o.of)
		if err != nil {
			return p, err
		}
		return box.Plan()
	}
	who, err := o.app.owner()
	if err != nil {
		return p, err
	}
	o.with.decide(len(command) == 0, command)
	c, err := o.gather(o.app, who, command)
	if err != nil {
		return p, err
	}
	if err := o.declare(o.app, who, &c); err != nil {
		return p, err
	}
	if p, err = grant.Compile(c); err != nil {
		return p, err
	}
	own, err := load.Providers(who.providersPath(), who.uid)
	if err != nil {
		return p, err
	}
	l := launch.Launcher{Providers: own, Budgets: who.budgetDir(), Skills: func(string) (*toolserver.Server, error) { return nil, nil }} // none is started here
	return p, l.Supports(p)                                                                                                              // or a run would refuse it
}

func (o *planOptions) run(command []string) error {
	p, err := o.plan(command)
	if err == nil {
		o.with.warnScripts(o.app)
	}
	switch {
	case err != nil:
		return err
	case o.diff != "":
		return o.compare(p)
	case o.asJSON:
		return o.app.printJSON(p)
	}
	return o.app.printPlan(p)
}

// maxPlan bounds a saved plan.
const maxPlan = 4 << 20

// readPlan reads a saved plan strictly.
func readPlan(path string) (p nacre.Plan, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return p, fault.Wrap(fault.NotFound, err, "cannot read the plan")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil || len(b) > maxPlan {
		return p, fault.Wrap(fault.Invalid, err, "%s: not a plan, or over 4 MiB", path)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fault.Wrap(fault.Invalid, err, "%s: not a plan", path).WithHint("nacre plan --json writes one")
	}
	if compile.Digest(p) != p.Digest {
		return p, fault.New(fault.Tampered, "%s: the plan was changed since it was written: its digest does not fit", path).
			WithHint("write it anew with nacre plan --json")
	}
	return p, nil
}

func (o *planOptions) compare(p nacre.Plan) error {
	old, err := readPlan(o.diff)
	if err != nil {
		return err
	}
	changes, added := explain.Diff(old, p), false
	for _, c := range changes {
		added = added || c.Added
	}
	if o.asJSON {
		if changes == nil {
			changes = []explain.Change{}
		}
		if err := o.app.printJSON(changes); err != nil {
			return err
		}
		return statusOf(!added)
	}
	for _, c := range changes {
		colour := map[bool]string{true: red, false: green}[c.Added]
		fmt.Fprintln(o.app.Out, o.app.paint(colour, terminal.Clean(c.String())))
	}
	if len(changes) == 0 {
		fmt.Fprintln(o.app.Out, "the authority is the same")
	}
	return statusOf(!added)
}
