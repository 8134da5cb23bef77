package cli

import (
	"context"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nacre/audit"
	"nacre/fault"
)

type auditOptions struct {
	app     *App
	asJSON  bool
	sandbox string
	last    int
}

func newAudit(app *App) *cobra.Command {
	o := &auditOptions{app: app}
	cmd := &cobra.Command{
		Use:     "audit",
		Short:   "Read the record of what was decided and what happened",
		Example: "  nacre audit show -n 20\n  nacre audit follow\n  nacre audit verify",
		Args:    cobra.ArbitraryArgs,
		RunE:    unknown,
	}
	show := &cobra.Command{
		Use: "show", Short: "Print the record; the chain is checked on the way", Args: takes(0, 0, "no arguments"),
		Example: "  nacre audit show -n 20\n  nacre audit show --sandbox k3x9a2bc --json",
		RunE:    func(*cobra.Command, []string) error { return o.show() },
	}
	show.Flags().IntVarP(&o.last, "last", "n", 0, "only the newest `N`")
	follow := &cobra.Command{
		Use: "follow", Short: "Print the record as it grows, until Ctrl-C", Args: takes(0, 0, "no arguments"),
		Example: "  nacre audit follow --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.follow(cmd.Context()) },
	}
	verify := &cobra.Command{
		Use: "verify", Short: "Check that no record was changed, removed or added", Args: takes(0, 0, "no arguments"),
		Example: "  nacre audit verify",
		RunE:    func(*cobra.Command, []string) error { return o.verify() },
	}
	for _, c := range []*cobra.Command{show, follow} {
		c.Flags().StringVar(&o.sandbox, "sandbox", "", "only the records of one sandbox, by its `ID`")
	}
	for _, c := range []*cobra.Command{show, follow, verify} {
		c.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
		cmd.AddCommand(c)
	}
	return cmd
}

func (o *auditOptions) dir() (string, error) {
	who, err := o.app.owner()
	return who.auditDir(), err
}

func (o *auditOptions) wanted(r audit.Record) bool {
	return o.sandbox == "" || r.Sandbox == o.sandbox || r.Problem != ""
}

func (o *auditOptions) show() error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	var list []audit.Record
	_, err = audit.Read(dir, func(r audit.Record) error {
		if o.wanted(r) {
			list = append(list, r)
		}
		if o.last > 0 && len(list) > o.last {
			list = list[1:]
		}
		return nil
	})
	if fault.KindOf(err) == fault.NotFound {
		return nil // nothing was recorded yet
	}
	for _, r := range list {
		if e := o.print(r); e != nil {
			return e
		}
	}
	return err
}

func (o *auditOptions) follow(ctx context.Context) error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	return audit.Follow(ctx, dir, func(r audit.Record) error {
		if !o.wanted(r) {
			return nil
		}
		return o.print(r)
	})
}
