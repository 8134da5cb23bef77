package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/attack"
	"nacre/attack/wire"
	"nacre/fault"
	"nacre/install"
	"nacre/sandbox/cgroup"
)

type attackOptions struct {
	against, inside string
	name, limits    string
	accept          []string
	json, markdown  bool
	list, safe      bool
	network         bool
	probes          []string
}

// attackFolder is where the attacked folder appears in Nacre's own sandbox.
const attackFolder = "/work/attack"

func newAttack(app *App) *cobra.Command {
	o := &attackOptions{}
	cmd := &cobra.Command{
		Use:   "attack [flags] [PROBE]...",
		Short: "Attack a sandbox from inside, and judge from outside what held",
		Long: `Runs a hostile program in a sandbox, with canaries planted around it, and shows
for each probe whether it was contained. No probe exploits anything: dangerous
interfaces are opened or asked, not used, and bombs are capped.

Without --against the sandbox is Nacre's own. With it, any other sandbox's
command is judged: {} stands for the program, {dir} for the folder granted to it.

Exit codes: 0 everything held, 1 something did not, 125 no score.`,
		Example: `  nacre attack
  nacre attack --json > score.json
  nacre attack kernel.bpf 'others.*'
  nacre attack --against 'bwrap --unshare-all --ro-bind /usr /usr --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp --bind {dir} {dir} {}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.probes = args
			return o.run(cmd.Context(), app)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.against, "against", "", "another sandbox's `COMMAND`, with {} and {dir}")
	f.StringVar(&o.inside, "inside", "", "where the folder appears in that sandbox, if not at the same path")
	f.StringVar(&o.name, "name", "sandbox", "what that sandbox is called on the scoreboard")
	f.StringVar(&o.limits, "limits", "", "what that sandbox was told to enforce, as `JSON`: {\"memory\":268435456,\"processes\":256}")
	f.StringArrayVar(&o.accept, "accept", nil, "attack at a lower `TIER`, as nacre run --accept; may be repeated")
	f.BoolVar(&o.json, "json", false, "print the scoreboard, or with --list the probes, as JSON")
	f.BoolVar(&o.markdown, "markdown", false, "print the scoreboard as Markdown")
	f.BoolVar(&o.list, "list", false, "list the probes and what each one does")
	f.BoolVar(&o.safe, "safe", false, "only probes that do no harm without a sandbox")
	f.BoolVar(&o.network, "network", false, "run every probe in a sandbox with a network, not only those of class egress")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	(&input{}).completions(cmd, "accept")
	return cmd
}

// attackLimits are told to Nacre's sandbox and to the judge alike.
var attackLimits = wire.Limits{Memory: 512 << 20, Processes: 256, OpenFiles: 1024, Disk: 256 << 20, Output: 32 << 20, CPUs: 1}

func (o *attackOptions) run(ctx context.Context, app *App) error {
	program, err := install.Beside(app.Program, "nacre-attack")
	if err != nil {
		return err
	}
	if o.list {
		return o.listProbes(ctx, app, program)
	}
	target, err := o.target(app)
	if err != nil {
		return err
	}
	target.Program, target.Safe, target.Probes = program, o.safe, o.probes
	if isTerminal(app.Err) {
		judged := 0
		target.Progress = func(attack.Entry) { judged++; fmt.Fprintf(app.Err, "\r%d probes judged ", judged) }
		defer fmt.Fprintln(app.Err)
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	app.sweepAttacks()
	report, err := attack.Run(ctx, target)
	if ctx.Err() != nil {
		app.note("interrupted: there is no score")
		return status(exitFault)
	}
	if err != nil {
		return err
	}
	switch {
	case o.json:
		err = report.JSON(app.Out)
	case o.markdown:
		err = report.Markdown(app.Out)
	default:
		err = report.Table(app.Out)
	}
	if err != nil {
		return err
	}
	return statusOf(report.Held())
}

// sweepAttacks takes away what killed attacks left, and says so.
func (app *App) sweepAttacks() {
	gone, err := attack.Sweep()
	for _, what := range gone {
		app.note("an earlier attack was killed; what it left is removed: %s", what)
	}
	if err != nil {
		app.note("%v", err)
	}
}

// target says what is attacked: another sandbox, or Nacre's own, which is
// started by its own command line like any other.
func (o *attackOptions) target(app *App) (attack.Options, error) {
	if o.against != "" {
		other := attack.Options{Name: o.name, Flags: o.against, Inside: o.inside}
		if o.limits != "" {
			if err := json.Unmarshal([]byte(o.limits), &other.Limits); err != nil {
				return other, fault.Wrap(fault.Usage, err, "--limits").WithHint(`such as {"memory":268435456,"processes":256}`)
			}
		}
		var err error
		other.Command, err = attack.Template(o.against)
		return other, err
	}
	l := attackLimits
	args := []string{app.Program, "run", "--quiet"}
	for _, limit := range []string{
		fmt.Sprintf("memory=%d", l.Memory), fmt.Sprintf("processes=%d", l.Processes), fmt.Sprintf("open-files=%d", l.OpenFiles),
		fmt.Sprintf("disk=%d", l.Disk), fmt.Sprintf("output=%d", l.Output), fmt.Sprintf("cpus=%g", l.CPUs),
	} {
		args = append(args, "--limit", limit)
	}
	for _, tier := range o.accept {
		args = append(args, "--accept", tier)
	}
	command := func(probe []string, folder string) []string {
		full := append(args[:len(args):len(args)], "--files", folder+":write@"+attackFolder, "--")
		return append(full, probe...)
	}
	flags := strings.Join(append(append([]string{"nacre"}, args[1:]...), "--files", "{dir}:write@"+attackFolder, "--", "{}"), " ")
	own := attack.Options{Name: "nacre, native engine", Flags: flags, Command: command, Inside: attackFolder, Limits: l,
		Network: app.networked(args[1:]), Networked: o.network}
	if slices.Contains(o.accept, string(nacre.TierWatchdog)) && cgroup.Detect().Problem() != nil {
		own.Admitted = attack.WithoutGroups()
	}
	return own, nil
}

func (o *attackOptions) listProbes(ctx context.Context, app *App, program string) error {
	probes, err := attack.Probes(ctx, program)
	if err != nil {
		return err
	}
	if o.json {
		return app.printJSON(probes)
	}
	for _, p := range probes {
		fmt.Fprintf(app.Out, "%-34s %-28s %s\n", p.ID, p.Reference, p.Mechanism)
	}
	return nil
}
