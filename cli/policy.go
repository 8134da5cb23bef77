package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/gateway/model"
	"nacre/load"
	"nacre/policy"
)

type policyOptions struct {
	app    *App
	file   string
	asJSON bool
}

func newPolicy(app *App) *cobra.Command {
	o := &policyOptions{app: app}
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Begin, see, check and extend your policy",
		Long: `The policy is your file: what agents may be granted at all. Where there is none,
nothing is; what you grant on a command line is not affected by that. An
administrator's policy in /etc/nacre/policy.yaml bounds both.`,
		Example: "  nacre policy init\n  nacre policy allow files ~/projects --access write\n  nacre policy show",
		Args:    cobra.ArbitraryArgs,
		RunE:    unknown,
	}
	cmd.PersistentFlags().StringVar(&o.file, "policy", "", "the policy's `FILE`, in place of ~/.config/nacre/policy.yaml")
	show := &cobra.Command{
		Use: "show", Short: "Print what the policies allow and deny, with where each rule stands",
		Example: "  nacre policy show\n  nacre policy show --json", Args: takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return o.show() },
	}
	show.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
	cmd.AddCommand(show, &cobra.Command{
		Use: "init", Short: "Write a policy to begin with, which allows nothing yet",
		Example: "  nacre policy init", Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.init(cmd.Context()) },
	}, &cobra.Command{
		Use: "check [flags] [FILE]", Short: "Check a policy's text, and that nobody else can change it",
		Example: "  nacre policy check\n  nacre policy check ./policy.yaml", Args: takes(0, 1, "at most one file"),
		RunE: func(_ *cobra.Command, args []string) error { return o.check(args) },
	}, newProviders(o), newPolicyAllow(o), newPolicyImport(o))
	return cmd
}

// path is the policy's absolute path.
func (o *policyOptions) path(who owner) (string, error) {
	if o.file == "" {
		return who.policyPath(), nil
	}
	return filepath.Abs(o.file)
}

func (o *policyOptions) check(args []string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		o.file = args[0]
	}
	path, err := o.path(who)
	if err != nil {
		return err
	}
	p, err := load.Policy(path, who.uid, nil)
	switch {
	case err != nil:
		return err
	case p == nil && o.file != "":
		return fault.New(fault.NotFound, "%s: there is no such policy", path).WithHint("nacre policy init writes one")
	case p == nil:
		_, err = fmt.Fprintf(o.app.Out, "%s: there is none, so that nothing is allowed beyond your command lines\n", path)
		return err
	}
	if err := providersOf(who, p); err != nil {
		return err
	}
	void, err := o.app.grantable(who, path, p)
	if err != nil {
		return err
	}
	rules := counted(len(rulesOf("policy", p)), "rule")
	if void > 0 {
		_, err = fmt.Fprintf(o.app.Out, "%s: can be read, %s; what is never granted itself: %s\n", path, rules, counted(void, "folder"))
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "%s: fine, %s\n", path, rules)
	return err
}

// providersOf refuses a policy that allows models at a provider that there is not.
func providersOf(who owner, p *policy.Policy) error {
	known, err := who.providers()
	if err != nil {
		return err
	}
	list := slices.Clone(p.Models)
	for _, a := range p.Agents {
		list = append(list, a.Models...)
	}
	for _, m := range list {
		if err := model.Known(m.Provider, known); err != nil && !strings.Contains(m.Provider, "*") {
			return fault.New(fault.Invalid, "%s: %v", m.Origin, err).WithHint("%s", fault.HintOf(err))
		}
	}
	return nil
}

func (o *policyOptions) show() error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	path, err := o.path(who)
	if err != nil {
		return err
	}
	rules := []ruleLine{}
	for _, layer := range []struct {
		name, path string
		owner      int
	}{{"policy", path, who.uid}, {"ceiling", who.ceilingPath(), 0}} {
		p, err := load.Policy(layer.path, layer.owner, nil)
		if err != nil {
			return err
		}
		rules = append(rules, rulesOf(layer.name, p)...)
	}
	if o.asJSON {
		return o.app.printJSON(rules)
	}
	t := table{heading: []string{"LAYER", "FOR", "EFFECT", "CAPABILITY", "RULE", "WRITTEN"}}
	for _, r := range rules {
		t.add(r.Layer, r.For, r.Effect, r.Capability, r.Rule, r.Origin)
	}
	if err := t.print(o.app); err != nil {
		return err
	}
	o.app.note("besides, %d names are masked in every granted folder, and what is not allowed is denied", len(policy.BuiltIn()))
	return nil
}
