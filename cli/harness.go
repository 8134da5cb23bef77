package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nacre/fault"
	"nacre/grant"
	"nacre/harness"
	"nacre/manifest"
	"nacre/skills"
)

// newHarness lists and shows what --with takes.
func newHarness(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "harness",
		Short:   "Show which agents nacre run --with knows how to run",
		Example: "  nacre harness list\n  nacre harness show codex",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknown(cmd, args) },
	}
	var asJSON bool
	list := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List the harnesses that come with Nacre", Args: takes(0, 0, "no arguments"),
		Example: "  nacre harness list\n  nacre harness list --json",
		RunE:    func(*cobra.Command, []string) error { return app.listHarnesses(asJSON) }}
	show := &cobra.Command{Use: "show NAME", Short: "Show how a harness runs its agent, and what it asks for", Args: takes(1, 1, "one NAME or folder"),
		Example:   "  nacre harness show codex\n  nacre harness show ./my-harness",
		ValidArgs: harness.BuiltIn(skills.Files),
		RunE:      func(_ *cobra.Command, args []string) error { return app.showHarness(args[0], asJSON) }}
	for _, c := range []*cobra.Command{list, show} {
		c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	}
	cmd.AddCommand(list, show, roomy(newHarnessInstall(app)))
	return cmd
}

// newHarnessInstall installs what a first run would install.
func newHarnessInstall(app *App) *cobra.Command {
	in := &input{}
	cmd := &cobra.Command{Use: "install NAME", Short: "Install a harness's agent now, in a sandbox; a first run would", Args: takes(1, 1, "one NAME or folder"),
		Example:   "  nacre harness install claude-code",
		ValidArgs: harness.BuiltIn(skills.Files),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, err := app.owner()
			if err != nil {
				return err
			}
			in.with.skill, in.with.mode = args[0], harness.Headless
			c, err := in.gather(app, who, []string{"install"})
			if err == nil {
				err = in.declare(app, who, &c)
			}
			if err == nil {
				err = in.with.install(cmd.Context(), app, who, c)
			}
			return app.refused(who, c, err)
		}}
	f := cmd.Flags()
	f.StringVar(&in.policy, "policy", "", "the owner's policy, in place of ~/.config/nacre/policy.yaml")
	f.StringArrayVar(&in.accept, "accept", nil, "go on at a lower `TIER` where this machine lacks a layer; may be repeated")
	in.with.scriptsFlag(cmd)
	in.completions(cmd, "accept")
	return cmd
}

// withoutName answers --with without a harness by listing them.
func (app *App) withoutName(cmd *cobra.Command, err error) error {
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) && missing.GetFlag().Name == "with" {
		return app.listHarnesses(false)
	}
	return fault.New(fault.Usage, "%s: %s", cmd.CommandPath(), err).WithHint("%s --help lists the flags", cmd.CommandPath())
}

// harnessLine is one harness, as it is listed.
type harnessLine struct {
	Name        string   `json:"name"`
	Ways        []string `json:"ways"`
	Providers   []string `json:"providers"` // of models
	Keys        []string `json:"keys"`      // what has to be kept before
	Description string   `json:"description"`
}

func (app *App) listHarnesses(asJSON bool) error {
	who, err := app.owner()
	if err != nil {
		return err
	}
	known, err := who.providers()
	if err != nil {
		return err
	}
	var lines []harnessLine
	t := table{heading: []string{"HARNESS", "WAYS", "MODELS", "KEY", "DESCRIPTION"}}
	for _, name := range harness.BuiltIn(skills.Files) {
		h, err := harness.Find(skills.Files, name)
		if err != nil {
			return err
		}
		l := harnessLine{Name: name, Ways: h.Ways(), Providers: []string{}, Keys: []string{}}
		if c := h.Skill.Capabilities; c != nil {
			for _, m := range c.Models {
				l.Providers = append(l.Providers, m.Provider)
				if known[m.Provider].Slot != "" { // a model on this machine has no key
					l.Keys = append(l.Keys, "nacre secret set "+m.Provider)
				}
			}
		}
		l.Description, _, _ = strings.Cut(h.Skill.Description, ". ")
		t.add(name, strings.Join(l.Ways, ", "), strings.Join(l.Providers, ", "), strings.Join(l.Keys, ", "), l.Description)
		lines = append(lines, l)
	}
	if asJSON {
		return app.printJSON(lines)
	}
	return t.print(app)
}

func (app *App) showHarness(name string, asJSON bool) error {
	who, err := app.owner()
	if err != nil {
		return err
	}
	w := with{skill: name}
	if err := w.find(app, who, &grant.Input{}); err != nil {
		return err
	}
	h := w.harness
	t := table{}
	t.add("harness", h.Skill.Name)
	t.add("about", h.Skill.Description)
	t.add("digest", h.Skill.Digest)
	t.add("ways", strings.Join(h.Ways(), ", "))
	if h.Output.Declared() {
		t.add("--output", "reads what it prints by "+strings.Join(h.Output.Arguments, " "))
	}
	if h.Resume != nil {
		t.add("--resume", "by "+strings.Join(h.Resume, " "))
	}
	for _, l := range h.Layers {
		t.add("installed at "+l.At, "from "+l.Lock)
		if l.Scripts != nil {
			t.add("runs then", "the scripts of "+strings.Join(l.Scripts, ", "))
		}
	}
	t.add("command", strings.Join(slices.Concat(h.Command, h.Headless), " "))
	if h.Refuses != nil {
		t.add("does without", strings.Join(h.Refuses, ", "))
	}
	for _, s := range h.Says() {
		t.add("to know", s)
	}
	if c := h.Skill.Capabilities; c != nil {
		for _, n := range manifest.Entries(c.Capabilities) {
			t.add("asks for", askLine(n))
		}
		for _, l := range c.Limits.Each() {
			if l.N > 0 {
				t.add("asks for", "limits: "+l.Name+": "+l.Format(l.N))
			}
		}
	}
	if asJSON {
		return app.printJSON(t.pairs())
	}
	return t.print(app)
}
