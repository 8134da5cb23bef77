package cli

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/compile"
	"nacre/explain"
	"nacre/fault"
	"nacre/policy"
	"nacre/remedy"
	"nacre/seccomp"
)

type explainOptions struct {
	input
	app    *App
	asJSON bool
	inside bool
}

// explained are the capabilities that can be asked about.
var explained = []nacre.Capability{nacre.CapFiles, nacre.CapNetwork, nacre.CapSyscalls, nacre.CapLimits,
	nacre.CapEnvironment, nacre.CapSecrets, nacre.CapModels, nacre.CapTools, nacre.CapMessages,
	nacre.CapSchedule, nacre.CapDevices, nacre.CapImage}

func newExplain(app *App) *cobra.Command {
	o := &explainOptions{app: app}
	cmd := &cobra.Command{
		Use:   "explain [flags] [agent.yaml] CAPABILITY SUBJECT [read|write]",
		Short: "Say whether something would be allowed, by which rule, and what would change that",
		Long: `Say whether an agent may do one thing: the decision, the rule and where it was
written, and, where it is denied, the line that would allow it. The evaluator is
the one that a run is decided by. Ends with 0 if it is allowed, 1 if not.`,
		Example: `  nacre explain agent.yaml files ~/projects write
  nacre explain agent.yaml syscalls mount
  nacre explain agent.yaml limits memory=4GiB
  nacre explain agent.yaml network 'GET https://example.com/'
  nacre explain --files . files .git/config write
  nacre explain environment TERM`,
		Args: takes(2, 4, "[agent.yaml] CAPABILITY SUBJECT [read|write]"),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(args) },
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the decision as JSON")
	cmd.Flags().BoolVar(&o.inside, "inside", false, "the path is one inside the sandbox, not the host's")
	return cmd
}

func (o *explainOptions) run(args []string) error {
	if !slices.Contains(explained, nacre.Capability(args[0])) && o.agent == "" {
		o.agent, args = args[0], args[1:]
	}
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	q, err := o.query(who, args)
	if err != nil {
		return err
	}
	c, err := o.gather(o.app, who, nil)
	if err != nil {
		return err
	}
	if c.Manifest == nil || len(c.Manifest.Command) == 0 {
		c.Command = []string{"true"} // what runs is of no concern here
	}
	d, err := decide(c, q)
	if err != nil {
		return err
	}
	if o.asJSON {
		err = o.app.printJSON(d)
	} else {
		err = o.app.printDecision(d)
	}
	if err != nil {
		return err
	}
	return statusOf(d.Effect == nacre.Allow)
}

func (o *explainOptions) query(who owner, args []string) (q explain.Query, err error) {
	if len(args) < 2 || len(args) > 3 || !slices.Contains(explained, nacre.Capability(args[0])) {
		return q, fault.New(fault.Usage, "nacre explain: expected CAPABILITY SUBJECT [read|write], found %q", strings.Join(args, " ")).
			WithHint("the capabilities are %s", strings.Trim(fmt.Sprint(explained), "[]"))
	}
	q = explain.Query{Capability: nacre.Capability(args[0]), Subject: args[1], Inside: o.inside, Syscall: lookup}
	if q.Capability == nacre.CapFiles {
		q.Subject, err = policy.Resolve(args[1], who.cwd, who.home, nacre.Origin{File: nacre.OriginCommandLine})
	} else if q.Capability != nacre.CapNetwork && q.Capability != nacre.CapImage {
		q.Subject, q.Value, _ = strings.Cut(args[1], "=")
	}
	if len(args) == 3 && err == nil {
		err = q.Access.UnmarshalText([]byte(args[2]))
	}
	if err != nil {
		return q, fault.Wrap(fault.Usage, err, "nacre explain")
	}
	if q.Capability == nacre.CapLimits && q.Value == "" {
		return q, fault.New(fault.Usage, "nacre explain limits: expected NAME=AMOUNT, found %q", args[1]).
			WithHint("such as memory=4GiB")
	}
	return q, nil
}

// lookup asks the filter's own table about one system call.
func lookup(name string, groups []string) (bool, string) {
	t, err := seccomp.NewTable(seccomp.Options{Arch: seccomp.Arch(runtime.GOARCH), Groups: groups, Loopback: true})
	if err != nil {
		return false, err.Error()
	}
	d := t.Decide(name)
	if d.Remedy != "" {
		d.Reason += "; a group adds it: " + d.Remedy
	}
	return d.Effect == nacre.Allow, d.Reason
}

// decide asks the plan, and, where that denies, what the policy says.
func decide(c compile.Input, q explain.Query) (nacre.Decision, error) {
	p, err := remedy.Compile(c)
	if err != nil && fault.KindOf(err) != fault.Denied {
		return nacre.Decision{}, err
	}
	if err == nil {
		d := explain.Decide(p, q)
		single := q.Capability == nacre.CapSyscalls && c.Owner.Groups[q.Subject] == ""
		if d.Effect == nacre.Allow || q.Inside || single || strings.HasPrefix(d.Rule, "blocked.") {
			return d, nil
		}
	}
	would, err := explain.Would(c, q)
	if err != nil || would.Effect != nacre.Allow {
		return would, err
	}
	would.Effect = nacre.Deny
	would.Reason = "the policy would allow it, but it is not declared"
	would.Remedy = "declare it in the manifest, or on the command line"
	return would, nil
}

func (app *App) printDecision(d nacre.Decision) error {
	t := table{}
	colour := map[bool]string{true: green, false: red}[d.Effect == nacre.Allow]
	fmt.Fprintln(app.Out, app.paint(colour, d.Effect.String()), oneLine(string(d.Capability)+" "+d.Subject))
	t.add("rule", d.Rule)
	t.add("reason", d.Reason)
	t.add("origin", d.Origin)
	if d.Remedy != "" {
		t.add("remedy", d.Remedy)
	}
	return t.print(app)
}
