package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/explain"
	"nacre/fault"
	"nacre/load"
	"nacre/policy"
	"nacre/remedy"
	"nacre/terminal"
)

type allowOptions struct {
	*policyOptions
	agent, access, reason string
}

func newPolicyAllow(p *policyOptions) *cobra.Command {
	o := &allowOptions{policyOptions: p}
	cmd := &cobra.Command{
		Use:   "allow [flags] CAPABILITY WHAT | LINE",
		Short: "Add a rule to the policy; its comments stay",
		Long: `Add a rule to the policy file, which is made where there is none. The rule is for
every agent, or with --agent for one manifest, by its path. What is added is
checked before the file is replaced, and recorded before it counts; a folder that
can never be granted is refused.

CAPABILITY is files, network, accept, environment, syscalls, devices, images,
skills or limits. In place of both, LINE is the policy line that a refusal has shown.

Sandboxes that run reach what is added to network, where their manifest declares it.`,
		Example: `  nacre policy allow files ~/projects --access write
  nacre policy allow files preset:go
  nacre policy allow network https://api.example.com
  nacre policy allow network 'POST https://api.example.com/v1/x' --agent agent.yaml
  nacre policy allow accept limits-watchdog
  nacre policy allow environment TERM --agent agent.yaml
  nacre policy allow syscalls debug
  nacre policy allow limits memory=8GiB
  nacre policy allow 'files: {unblocked: [.npmrc]}'`,
		Args: takes(1, 2, "CAPABILITY WHAT, or one line of a policy"), ValidArgsFunction: onlyFirst(cobra.FixedCompletions(append([]string{"files", "network", "limits"}, lists...), cobra.ShellCompDirectiveNoFileComp)),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.agent, "agent", "", "for the agent of this manifest only")
	cmd.Flags().StringVar(&o.access, "access", "read", "of a folder: read or write")
	cmd.Flags().StringVar(&o.reason, "reason", "", "of a folder: why, for later readers")
	return cmd
}

// lists are the capabilities whose rules are plain names.
var lists = []string{"accept", "environment", "syscalls", "devices", "images", "skills"}

// line is the rule as a line of a policy.
func (o *allowOptions) line(who owner, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	kind, what := args[0], args[1]
	if preset, ok := strings.CutPrefix(what, "preset:"); ok && kind == "files" {
		return "files: {presets: [" + remedy.Quote(preset) + "]}", nil
	}
	switch {
	case kind == "files":
		r := policy.Root{Reason: o.reason}
		if err := r.Access.UnmarshalText([]byte(o.access)); err != nil || r.Access == nacre.NoAccess {
			return "", fault.New(fault.Usage, "--access: expected read or write, found %q", o.access)
		}
		path, err := policy.Resolve(what, who.cwd, who.home, nacre.Origin{File: nacre.OriginCommandLine})
		if err != nil {
			return "", fault.Wrap(fault.Usage, err, "nacre policy allow files")
		}
		r.Path = path
		return "files: {roots: [" + remedy.Flow(r) + "]}", nil
	case kind == "network":
		n, err := explain.Asking(what)
		if err != nil {
			return "", fault.Wrap(fault.Usage, err, "nacre policy allow network").WithHint("or the line itself, in quotes: '%s'", lines[kind])
		}
		return "network: [" + remedy.Flow(n) + "]", nil
	case kind == "limits":
		name, amount, ok := strings.Cut(what, "=")
		if !ok {
			return "", fault.New(fault.Usage, "nacre policy allow limits: expected NAME=AMOUNT, found %q", what).
				WithHint("such as memory=4GiB")
		}
		return fmt.Sprintf("limits: {%s: %s}", remedy.Quote(name), remedy.Quote(amount)), nil
	case slices.Contains(lists, kind):
		return kind + ": [" + remedy.Quote(what) + "]", nil
	}
	f := fault.New(fault.Usage, "nacre policy allow: there is no short form for %q", kind)
	if near := remedy.Near(kind, append([]string{"files", "limits", "network"}, lists...)); near != "" {
		return "", f.WithHint("did you mean %q?", near)
	}
	example := cmp.Or(lines[kind], lines["network"])
	return "", f.WithHint("give the policy line itself, in quotes: '%s'", example)
}

// lines are examples of rules that are more than a name.
var lines = map[string]string{
	"network": "network: [{host: example.com}]",
	"secrets": "secrets: [{name: github-token, hosts: [api.example.com]}]",
	"models":  `models: [{provider: anthropic, models: ["*"], requests: 100}]`,
}

func (o *allowOptions) run(ctx context.Context, args []string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	line, err := o.line(who, args)
	if err != nil {
		return err
	}
	path, err := o.path(who)
	if err != nil {
		return err
	}
	manifest := ""
	if o.agent != "" {
		source, err := load.Manifest(o.agent)
		if err != nil {
			return err
		}
		manifest = source.Path
	}
	edit := policyEdit{path: path, owner: who, line: line, manifest: manifest, show: o.useful(who, path, line)}
	changed, err := edit.apply(ctx)
	if err != nil {
		return err
	}
	if !changed {
		_, err = fmt.Fprintf(o.app.Out, "%s: says so already\n", oneLine(path))
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "%s: added %s\n", oneLine(path), terminal.Escaped(line))
	return err
}
