package cli

import (
	"context"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nacre/auditlog"
	"nacre/fault"
)

type auditOptions struct {
	app          *App
	asJSON       bool
	last         int
	folder       string // of the record; the owner's own if empty
	filter       auditlog.Filter
	since, until string
	notes        auditlog.Notes

	checkpoints []string
	key, proof  string // to verify against
	out         string // where to write; standard output if empty
	format      string
	over        string // size from which on a file is closed
	keep        int    // closed files that stay
	before      string // age of what may go
}

func newAudit(app *App) *cobra.Command {
	o := &auditOptions{app: app}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read, prove, sign and keep the record of what was decided and what happened",
		Example: `  nacre audit show -n 20
  nacre audit verify
  nacre audit checkpoint > /media/stick/checkpoint
  nacre audit verify --checkpoint /media/stick/checkpoint`,
		Args: cobra.ArbitraryArgs,
		RunE: unknown,
	}
	show := &cobra.Command{
		Use: "show", Short: "Print the record; the chain is checked on the way", Args: takes(0, 0, "no arguments"),
		Example: "  nacre audit show -n 20\n  nacre audit show --sandbox k3x9a2bc --json\n  nacre audit show --since 24h --kind 'sandbox.*'",
		RunE:    func(*cobra.Command, []string) error { return o.show() },
	}
	show.Flags().IntVarP(&o.last, "last", "n", 0, "only the newest `N`")
	follow := &cobra.Command{
		Use: "follow", Short: "Print the record as it grows, until Ctrl-C", Args: takes(0, 0, "no arguments"),
		Example: "  nacre audit follow --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.follow(cmd.Context()) },
	}
	for _, c := range []*cobra.Command{show, follow} {
		c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON, one record on each line")
		o.filterFlags(c)
	}
	cmd.AddCommand(show, follow, newAuditVerify(o), newAuditCheckpoint(o), newAuditKey(o), newAuditProve(o), newAuditExport(o),
		newAuditRotate(o), newAuditPrune(o))
	return cmd
}

// filterFlags say which records are wanted.
func (o *auditOptions) filterFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.filter.Sandbox, "sandbox", "", "only the records of one sandbox, by its `ID`")
	f.StringArrayVar(&o.filter.Kinds, "kind", nil, "only records of this `KIND`, such as sandbox.start or 'sandbox.*'; may be repeated")
	f.StringVar(&o.since, "since", "", "only records from this `TIME` on: 2026-03-01, 2026-03-01T12:00, or 24h or 30d ago")
	f.StringVar(&o.folder, "dir", "", "the record in another `FOLDER`")
	f.StringVar(&o.until, "until", "", "only records before this `TIME`")
	_ = c.RegisterFlagCompletionFunc("sandbox", o.app.completeRunning) // it fails only for a flag that there is not
}

// setFilter reads what the flags say.
func (o *auditOptions) setFilter() (err error) {
	for _, t := range []struct {
		flag, text string
		at         *time.Time
	}{{"--since", o.since, &o.filter.Since}, {"--until", o.until, &o.filter.Until}} {
		if t.text == "" {
			continue
		}
		if *t.at, err = auditlog.ParseTime(t.text, time.Now()); err != nil {
			return flagFault(t.flag, err)
		}
	}
	return o.filter.Check()
}

// dir is the folder of the record.
func (o *auditOptions) dir() (string, error) {
	if o.folder != "" {
		return o.folder, nil
	}
	who, err := o.app.owner()
	return who.auditDir(), err
}

func (o *auditOptions) show() error {
	dir, err := o.dir()
	if err == nil {
		err = o.setFilter()
	}
	if err != nil {
		return err
	}
	var list []auditlog.Record
	_, err = auditlog.Read(dir, func(r auditlog.Record) error {
		if o.filter.Wants(r) {
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
	if err == nil {
		err = o.setFilter()
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	return auditlog.Follow(ctx, dir, func(r auditlog.Record) error {
		if !o.filter.Wants(r) {
			return nil
		}
		return o.print(r)
	})
}
