package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/client"
	"nacre/fault"
	"nacre/gateway/budget"
	"nacre/runs"
)

// store opens the registry of running sandboxes.
func (app *App) store() (*runs.Store, error) {
	who, err := app.owner()
	if err != nil {
		return nil, err
	}
	return app.runs(who)
}

// reach finds a running sandbox and a way to talk to it.
func (app *App) reach(name string) (runs.Record, client.Client, error) {
	store, err := app.store()
	if err != nil {
		return runs.Record{}, client.Client{}, err
	}
	r, err := store.Find(name)
	if err != nil {
		return r, client.Client{}, err
	}
	return r, client.Client{Socket: store.Socket(r)}, nil
}

// completeRunning offers the running sandboxes to the shell.
func (app *App) completeRunning(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	store, err := app.store()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, _ := store.List()
	var words []string
	for _, r := range list {
		words = append(words, r.ID+"\t"+r.Name)
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// onlyFirst completes the first argument alone.
func onlyFirst(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return complete(cmd, args, word)
	}
}

// patiently runs f, and says what is waited for once that takes over a second.
func (app *App) patiently(what string, f func() error) error {
	if isTerminal(app.Err) {
		late := time.AfterFunc(time.Second, func() { app.note("%s…", what) })
		defer late.Stop()
	}
	return f()
}

// ended tells whether an error means no more than that the sandbox is gone.
func ended(err error) bool { return fault.KindOf(err) == fault.NotFound }

// formatSize writes a number of bytes for people.
func formatSize(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// since is how long ago something was, for people.
func since(t time.Time) string { return shortTime(time.Since(t).Round(time.Second)) }

// usageRow is one line of nacre stats.
type usageRow struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	nacre.Usage
	Budgets []budget.Day `json:"budgets,omitempty"` // of models, what all runs of the agent used
}
