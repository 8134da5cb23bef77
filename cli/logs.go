package cli

import (
	"context"
	"io"
	"os"
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
		Use:   "logs [flags] ID|NAME",
		Short: "Print what a run has written, also after its end",
		Long: `Print what a run has written to its output and its errors, as it came: of the
newest 50 runs, at most 4 MiB each. Of several runs of one name it is the newest,
and which one that is is said. On a terminal, what could attack the
terminal is left out; elsewhere every byte is as it was written.`,
		Example: `  nacre logs k3x9a2bc
  nacre logs -f my-agent`,
		Args:              takes(1, 1, "one ID or NAME"),
		ValidArgsFunction: onlyFirst(o.complete),
		RunE:              func(cmd *cobra.Command, ids []string) error { return o.run(cmd.Context(), ids[0]) },
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on until the run has ended")
	return cmd
}

// find returns the log of a run: by its id, by its name the newest, by the beginning of
// an id. A running one comes first.
func (o *logsOptions) find(dir, name string) (keptLog, error) {
	if r, _, err := o.app.reach(name); err == nil {
		return keptLog{id: r.ID, path: logPath(dir, r.ID, r.Name)}, nil
	}
	var named, begun []keptLog
	for _, l := range logsIn(dir) {
		switch {
		case name == "": // which is no run's
		case l.id == name:
			return l, nil
		case l.name == name:
			named = append(named, l)
		case strings.HasPrefix(l.id, name):
			begun = append(begun, l)
		}
	}
	switch {
	case len(named) > 1:
		o.app.note("%d runs called %q are kept: this is the newest, %s", len(named), name, named[0].id)
		return named[0], nil
	case len(named) == 1:
		return named[0], nil
	case len(begun) == 1:
		return begun[0], nil
	case len(begun) > 1:
		return keptLog{}, fault.New(fault.NotFound, "%d runs have ids that begin with %q", len(begun), name).
			WithHint("write more of the id; the logs are in %s", dir)
	}
	return keptLog{}, fault.New(fault.NotFound, "no run that is kept is called %q", name).
		WithHint("nacre ps lists what runs; the logs of the newest %d runs are in %s", logRuns, dir)
}

func (o *logsOptions) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	who, err := o.app.owner()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var words []string
	for _, l := range logsIn(who.logDir()) {
		words = append(words, l.id+"\t"+l.name)
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

func (o *logsOptions) run(ctx context.Context, name string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	l, err := o.find(who.logDir(), name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "cannot read the log")
	}
	defer f.Close()
	out, done := terminal.Guarded(o.app.Out)
	defer done()
	for {
		_, _, gone := o.app.reach(l.id) // asked before the rest is read, so that nothing is missed
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
