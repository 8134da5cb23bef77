package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/terminal"
)

type logsOptions struct {
	app    *App
	follow bool
}

func newLogs(app *App) *cobra.Command {
	o := &logsOptions{app: app}
	cmd := &cobra.Command{
		Use:   "logs [flags] ID",
		Short: "Print what a run has written, also after its end",
		Long: `Print what a run has written to its output and its errors, as it came: of the
newest 50 runs, at most 4 MiB each. On a terminal, what could attack the
terminal is left out; elsewhere every byte is as it was written.`,
		Example: `  nacre logs k3x9a2bc
  nacre logs -f my-agent`,
		Args:              takes(1, 1, "one ID"),
		ValidArgsFunction: onlyFirst(o.complete),
		RunE:              func(cmd *cobra.Command, ids []string) error { return o.run(cmd.Context(), ids[0]) },
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on until the run has ended")
	return cmd
}

// find returns the id and the log of a run, by its id, the beginning of one, or
// the name of a running one.
func (o *logsOptions) find(dir, name string) (id string, err error) {
	if r, _, err := o.app.reach(name); err == nil {
		return r.ID, nil
	}
	var found []string
	for _, id := range logged(dir) {
		if strings.HasPrefix(id, name) && name != "" {
			found = append(found, id)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", fault.New(fault.NotFound, "%d runs with a log are called %q", len(found), name).
		WithHint("nacre ps lists what runs; the logs are in %s", dir)
}

// logged are the ids of all runs that have a log.
func logged(dir string) (ids []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".log"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func (o *logsOptions) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	who, err := o.app.owner()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return logged(who.logDir()), cobra.ShellCompDirectiveNoFileComp
}

func (o *logsOptions) run(ctx context.Context, name string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	id, err := o.find(who.logDir(), name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(logPath(who.logDir(), filepath.Base(id)), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "cannot read the log")
	}
	defer f.Close()
	out, done := terminal.Guarded(o.app.Out)
	defer done()
	for {
		_, _, gone := o.app.reach(id) // asked before the rest is read, so that nothing is missed
		if _, err := io.Copy(out, f); err != nil || !o.follow || gone != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}
