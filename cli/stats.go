package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nacre/client"
	"nacre/gateway/budget"
	"nacre/gateway/model"
	"nacre/runs"
)

type statsOptions struct {
	app           *App
	asJSON, watch bool
}

func newStats(app *App) *cobra.Command {
	o := &statsOptions{app: app}
	cmd := &cobra.Command{
		Use:   "stats [flags] [ID]",
		Short: "Show what running sandboxes use",
		Example: `  nacre stats
  nacre stats --watch k3x9a2bc
  nacre stats --json`,
		Args:              takes(0, 1, "at most one ID"),
		ValidArgsFunction: onlyFirst(app.completeRunning),
		RunE:              func(cmd *cobra.Command, ids []string) error { return o.run(cmd.Context(), ids) },
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON; with --watch one line each second")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "show it anew each second, until Ctrl-C")
	return cmd
}

func (o *statsOptions) run(ctx context.Context, ids []string) error {
	for {
		rows, err := o.app.usage(ids)
		if err == nil {
			err = o.show(rows)
		}
		if err != nil || !o.watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (o *statsOptions) show(rows []usageRow) error {
	switch {
	case o.asJSON && o.watch:
		return json.NewEncoder(o.app.Out).Encode(rows)
	case o.asJSON:
		return o.app.printJSON(rows)
	}
	t := table{heading: []string{"ID", "NAME", "MEMORY", "CPU", "PROCESSES", "OUTPUT", "AGE"}}
	for _, r := range rows {
		t.add(r.ID, r.Name, formatSize(r.Memory), r.CPU.Round(time.Millisecond), r.Processes, formatSize(r.Output), since(r.Started))
	}
	if o.watch && isTerminal(o.app.Out) {
		fmt.Fprint(o.app.Out, "\x1b[H\x1b[J")
	}
	models := table{heading: []string{"ID", "MODELS OF", "DAY", "REQUESTS", "TOKENS", "CENTS"}}
	for _, r := range rows {
		for _, b := range r.Budgets {
			models.add(r.ID, b.Provider, b.Date, b.Used.Requests, b.Used.Tokens, model.Cents(b.Used.Money))
		}
	}
	if err := t.print(o.app); err != nil || len(models.rows) == 0 || !isTerminal(o.app.Out) { // programs have --json
		return err
	}
	fmt.Fprintln(o.app.Out)
	return models.print(o.app)
}

// usage asks one sandbox, or all; of all, those that end meanwhile are left out.
func (app *App) usage(ids []string) ([]usageRow, error) {
	who, err := app.owner()
	if err != nil {
		return nil, err
	}
	store, err := app.store()
	if err != nil {
		return nil, err
	}
	var list []runs.Record
	if len(ids) == 0 {
		list, err = store.List()
	} else {
		var r runs.Record
		r, err = store.Find(ids[0])
		list = []runs.Record{r}
	}
	if err != nil {
		return nil, err
	}
	rows := []usageRow{}
	for _, r := range list {
		u, err := client.Client{Socket: store.Socket(r)}.Usage()
		switch {
		case err == nil:
			row := usageRow{ID: r.ID, Name: r.Name, Usage: u}
			if row.Budgets, err = budget.Days(who.budgetDir(), r.Subject); err != nil {
				app.note("what was used of models cannot be read: %v", err)
			}
			rows = append(rows, row)
		case len(ids) > 0 || !ended(err):
			return nil, err
		}
	}
	return rows, nil
}
