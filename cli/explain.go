package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/explain"
	"nacre/fault"
	"nacre/policy"
	"nacre/remedy"
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
	nacre.CapSchedule, nacre.CapDevices, nacre.CapImage, nacre.CapSkills}

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
  nacre explain agent.yaml tools 'github/create_issue repo=acme/site'
  nacre explain --files . files .git/config write
  nacre explain environment TZ`,
		Args: takes(2, 4, "[agent.yaml] CAPABILITY SUBJECT [read|write]"), ValidArgsFunction: cobra.FixedCompletions(texts(explained), cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(app, cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the decision as JSON")
	cmd.Flags().BoolVar(&o.inside, "inside", false, "the path is one inside the sandbox, not the host's")
	return cmd
}

func (o *explainOptions) run(ctx context.Context, args []string) error {
	if !slices.Contains(explained, nacre.Capability(args[0])) && o.agent == "" {
		if err := noCapability(args); err != nil {
			return err
		}
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
	d, err := decide(ctx, c, q)
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

// noCapability is the fault of a first word that is neither a capability nor a
// manifest before one.
func noCapability(args []string) error {
	if slices.Contains(explained, nacre.Capability(args[1])) {
		return nil
	}
	if _, err := os.Stat(args[0]); err == nil || strings.HasSuffix(args[0], ".yaml") {
		args = args[1:]
	}
	known := texts(explained)
	f := fault.New(fault.Usage, "nacre explain: there is no capability %q", args[0])
	if near := remedy.Near(args[0], known); near != "" {
		return f.WithHint("did you mean %q?", near)
	}
	return f.WithHint("the capabilities are %s", strings.Join(known, " "))
}

func (o *explainOptions) query(who owner, args []string) (q explain.Query, err error) {
	if len(args) < 2 || len(args) > 3 || !slices.Contains(explained, nacre.Capability(args[0])) {
		return q, fault.New(fault.Usage, "nacre explain: expected CAPABILITY SUBJECT [read|write], found %q", strings.Join(args, " ")).
			WithHint("the capabilities are %s", strings.Trim(fmt.Sprint(explained), "[]"))
	}
	if nacre.Capability(args[0]) == nacre.CapNetwork && !strings.Contains(args[1], "://") {
		return q, fault.New(fault.Usage, "nacre explain network: expected METHOD https://HOST/PATH or tcp://HOST:PORT, found %q", args[1]).
			WithHint("such as 'GET https://example.com/'")
	}
	q = explain.Query{Capability: nacre.Capability(args[0]), Subject: args[1], Inside: o.inside, Syscall: lookup}
	if q.Capability == nacre.CapFiles {
		q.Subject, err = policy.Resolve(args[1], who.cwd, who.home, nacre.Origin{File: nacre.OriginCommandLine})
	} else if call := q.Capability == nacre.CapTools && strings.Contains(args[1], "/"); !call && q.Capability != nacre.CapNetwork && q.Capability != nacre.CapImage {
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

// texts are names, as texts.
func texts[T ~string](list []T) (texts []string) {
	for _, t := range list {
		texts = append(texts, string(t))
	}
	return texts
}
