package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/audit"
	"nacre/auditlog"
	"nacre/fault"
	"nacre/grant"
	"nacre/manifest"
)

func newAuditRotate(o *auditOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate", Short: "Close the file of the record and go on in another", Args: takes(0, 0, "no arguments"),
		Long: `Close the file that records are written to and go on in another, which begins
with a signed checkpoint of all before. No record is lost or changed, and nothing
is removed. Runs do this by themselves when the file has grown to 64 MiB.`,
		Example: "  nacre audit rotate\n  nacre audit rotate --over 16MiB",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.rotate(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.over, "over", "", "only if the file has grown to this `SIZE`, such as 16MiB")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
	return cmd
}

func newAuditPrune(o *auditOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove the oldest closed files; their hashes stay", Args: takes(0, 0, "no arguments"),
		Long: `Verify the record, then remove closed files, the oldest first. The hashes of their
records stay (32 bytes each), so that what remains is proven as before, also
against checkpoints that were made when the removed records were there. That they
were removed is recorded first. Nothing is ever removed but by this command.`,
		Example: "  nacre audit prune --keep 10\n  nacre audit prune --before 90d",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("keep") && o.before == "" {
				return fault.New(fault.Usage, "say what stays: --keep, --before, or both").WithHint("%s --help has examples", cmd.CommandPath())
			}
			return o.prune(cmd.Context())
		},
	}
	cmd.Flags().IntVar(&o.keep, "keep", 0, "how many closed files stay: the newest `N`")
	cmd.Flags().StringVar(&o.before, "before", "", "only files whose last record is from before this `TIME`: 2026-03-01, or 90d ago")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
	return cmd
}

func (o owner) auditCaller() nacre.Caller {
	return nacre.Caller{UID: o.uid, PID: os.Getpid(), Name: "cli"}
}

// signer is the owner's key, made where there is none yet.
func (o owner) signer() (*auditlog.Key, error) { return auditlog.MakeKey(o.auditKey(), o.uid) }

// rotator closes the record's file once it has grown over a size.
func (o owner) rotator(over int64) auditlog.Rotator {
	return auditlog.Rotator{Dir: o.auditDir(), Owner: o.uid, Caller: o.auditCaller(), Signer: o.signer, Over: over}
}

func (o *auditOptions) rotate(ctx context.Context) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	over := int64(0)
	if o.over != "" {
		var l manifest.Limits
		if err := grant.ParseLimit(&l, "output="+o.over); err != nil {
			return flagFault("--over", err)
		}
		over = l.Output.N
	}
	closed, err := who.rotator(over).Rotate(ctx)
	switch {
	case err != nil:
		return err
	case o.asJSON:
		return o.app.printJSON(closed)
	case closed == nil:
		_, err = fmt.Fprintln(o.app.Out, "nothing to close")
	default:
		_, err = fmt.Fprintf(o.app.Out, "%s is closed; the record goes on after %d records\n", closed.Name, closed.Records)
	}
	return err
}

func (o *auditOptions) prune(ctx context.Context) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	if o.keep < 0 {
		return fault.New(fault.Usage, "--keep: expected a number of files, found %d", o.keep)
	}
	var before time.Time
	if o.before != "" {
		if before, err = auditlog.ParseTime(o.before, time.Now()); err != nil {
			return flagFault("--before", err)
		}
	}
	log, err := audit.Open(who.auditDir(), who.uid)
	if err != nil {
		return err
	}
	defer log.Close()
	r := auditlog.Remover{Dir: who.auditDir(), Owner: who.uid, Caller: who.auditCaller(), Log: log, Keep: o.keep, Before: before}
	done, err := r.Remove(ctx)
	switch {
	case err != nil:
		return err
	case o.asJSON:
		return o.app.printJSON(done)
	case len(done.Files) == 0:
		_, err = fmt.Fprintln(o.app.Out, "nothing to remove")
	default:
		_, err = fmt.Fprintf(o.app.Out, "records 1 to %d are removed, %d files; their hashes stay\n", done.Last, len(done.Files))
	}
	return err
}

// keepAudit closes the record's file after a run, when that has grown large. A
// record that stays in one file is as good; so this fails nothing.
func (app *App) keepAudit(ctx context.Context, who owner) {
	if _, err := who.rotator(auditlog.DefaultSize).Rotate(ctx); err != nil {
		app.note("the audit stays in one file: %v", err)
	}
}
