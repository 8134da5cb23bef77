package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"nacre/runs"
)

func newPs(app *App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ps",
		Aliases: []string{"list"},
		Short:   "List the running sandboxes",
		Example: "  nacre ps\n  nacre ps --json",
		Args:    takes(0, 0, "no arguments"),
		RunE:    func(*cobra.Command, []string) error { return app.ps(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (app *App) ps(asJSON bool) error {
	store, err := app.store()
	if err != nil {
		return err
	}
	list, err := store.List()
	if err != nil {
		return err
	}
	if asJSON {
		if list == nil {
			list = []runs.Record{}
		}
		return app.printJSON(list)
	}
	t := table{heading: []string{"ID", "NAME", "AGE", "PID", "AGENT", "COMMAND"}}
	for _, r := range list {
		t.add(r.ID, r.Name, since(r.Started), r.Init, r.Subject, strings.Join(r.Command, " "))
	}
	return t.print(app)
}
