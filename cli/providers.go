package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/spf13/cobra"

	"nacre/gateway/model"
	"nacre/load"
)

// providers are all that may be named in models: those that are known, and the owner's.
func (o owner) providers() (map[string]model.Provider, error) {
	known, err := model.Providers()
	if err != nil {
		return nil, err
	}
	own, err := load.Providers(o.providersPath(), o.uid)
	maps.Copy(known, own)
	return known, err
}

// providerLine is one provider as it is shown.
type providerLine struct {
	Name string `json:"name"`
	API  string `json:"api"`
	At   string `json:"at"`
	Slot string `json:"slot"` // of its key; "": it has none
	From string `json:"from"`
}

func newProviders(o *policyOptions) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "providers", Short: "List who runs models: those that are known, and yours",
		Long: `Agents ask for models by a provider's name, and policies allow them by it. Yours are
in ~/.config/nacre/providers.yaml, which only you may be able to change.`,
		Example: "  nacre policy providers\n  nacre policy providers --json", Args: takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return o.app.listProviders(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (app *App) listProviders(asJSON bool) error {
	who, err := app.owner()
	if err != nil {
		return err
	}
	all, err := who.providers()
	if err != nil {
		return err
	}
	lines := []providerLine{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		scheme := map[bool]string{true: "http", false: "https"}[p.Plain]
		lines = append(lines, providerLine{name, string(p.API), scheme + "://" + net.JoinHostPort(p.Host, fmt.Sprint(cmp.Or(p.Port, 443))), p.Slot, p.Origin.File})
	}
	if asJSON {
		return app.printJSON(lines)
	}
	t := table{heading: []string{"PROVIDER", "API", "AT", "KEY", "FROM"}}
	for _, l := range lines {
		key := "none"
		if l.Slot != "" {
			key = "nacre secret set " + l.Name
		}
		t.add(l.Name, l.API, l.At, key, l.From)
	}
	return t.print(app)
}
