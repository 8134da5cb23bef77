package cli

import (
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"nacre/auditlog"
	"nacre/auditlog/export"
	"nacre/fault"
	"nacre/terminal"
)

func newAuditCheckpoint(o *auditOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Sign what the record is now", Args: takes(0, 0, "no arguments"),
		Long: `Verify the record and sign what it is now: a signed note with the number of
records and the root of their Merkle tree. Keep it where nobody who could change
the record can change it too; nacre audit verify --checkpoint holds the record
against it at any later time. The key is made on first use.`,
		Example: "  nacre audit checkpoint > /media/stick/checkpoint\n  nacre audit checkpoint --json",
		RunE:    func(*cobra.Command, []string) error { return o.checkpoint() },
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
	return cmd
}

func newAuditKey(o *auditOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "Print the verifier key, which anybody may know", Args: takes(0, 0, "no arguments"),
		Example: "  nacre audit key > /media/stick/audit.key",
		RunE: func(*cobra.Command, []string) error {
			k, err := o.signer()
			if err != nil {
				return err
			}
			if o.asJSON {
				return o.app.printJSON(map[string]string{"name": k.Name(), "verifier": k.String()})
			}
			_, err = io.WriteString(o.app.Out, k.String()+"\n")
			return err
		},
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
	return cmd
}

func newAuditProve(o *auditOptions) *cobra.Command {
	return &cobra.Command{
		Use: "prove N", Short: "Print one record with the proof that it is in the record", Args: takes(1, 1, "the number of a record"),
		Long: `Print record N with its place in the Merkle tree and a checkpoint: whoever has
the verifier key can check that, without the other records
(nacre audit verify --proof).`,
		Example: "  nacre audit prove 17 > record.tlog-proof",
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil || n == 0 {
				return fault.New(fault.Usage, "expected the number of a record, found %q", args[0]).WithHint("nacre audit show prints them first in each line")
			}
			return o.prove(n)
		},
	}
}

func newAuditExport(o *auditOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Write the record for other programs: OCSF or CSV", Args: takes(0, 0, "no arguments"),
		Long: `Write the record as events of the Open Cybersecurity Schema Framework, one JSON
object for each line, or as a table. docs/AUDIT.md has the mapping. Records that
were tampered with are in it, and then the command fails.`,
		Example: "  nacre audit export --since 24h\n  nacre audit export --format csv --kind 'sandbox.*' --out sandboxes.csv",
		RunE:    func(*cobra.Command, []string) error { return o.export() },
	}
	cmd.Flags().StringVar(&o.format, "format", "ocsf", "`ocsf` or csv")
	cmd.Flags().StringVar(&o.out, "out", "", "write to a new `FILE`")
	o.filterFlags(cmd)
	// It fails only for a flag that there is not.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"ocsf", "csv"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// signer is the owner's key, made where there is none yet.
func (o *auditOptions) signer() (*auditlog.Key, error) {
	who, err := o.app.owner()
	if err != nil {
		return nil, err
	}
	return who.signer()
}

func (o *auditOptions) checkpoint() error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	var report auditlog.Report
	var text []byte
	err = o.app.patiently("reading the record", func() (err error) {
		report, text, err = auditlog.Sign(dir, o.signer)
		return err
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		return o.app.printJSON(struct {
			Records    uint64 `json:"records"`
			Root       string `json:"root"`
			Checkpoint string `json:"checkpoint"`
		}{report.Seq, report.Root, string(text)})
	}
	_, err = o.app.Out.Write(text)
	return err
}

func (o *auditOptions) prove(n uint64) error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	text, err := auditlog.Prove(dir, n, o.signer)
	if err != nil {
		return err
	}
	_, err = o.app.Out.Write(text)
	return err
}

// exporter writes records for other programs.
type exporter interface {
	Write(auditlog.Record) error
	Flush() error
}

func (o *auditOptions) export() (err error) {
	dir, err := o.dir()
	if err == nil {
		err = o.setFilter()
	}
	if err != nil {
		return err
	}
	out := o.app.Out
	if o.out != "" {
		if out, err = os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return fault.Wrap(fault.Usage, err, "--out")
		}
		defer out.Close()
	}
	w, err := o.exporter(out)
	if err != nil {
		return err
	}
	_, err = auditlog.Read(dir, func(r auditlog.Record) error {
		if !o.filter.Wants(r) {
			return nil
		}
		return w.Write(r)
	})
	if fault.KindOf(err) == fault.NotFound {
		err = nil // nothing was recorded yet
	}
	if e := w.Flush(); e != nil {
		return e
	}
	return err
}

func (o *auditOptions) exporter(out *os.File) (exporter, error) {
	switch o.format {
	case "csv":
		return export.NewCSV(plainOut(out)), nil
	case "ocsf":
		who, err := o.app.owner()
		if err != nil {
			return nil, err
		}
		log := "nacre-audit" // a log without a key here has no name of its own
		if k, err := auditlog.LoadKey(who.auditKey(), who.uid); err == nil && o.folder == "" {
			log = k.Name()
		}
		host, err := os.Hostname()
		if err != nil {
			return nil, fault.Wrap(fault.Unsupported, err, "this machine has no name")
		}
		return export.NewOCSF(plainOut(out), host, log, o.app.Version), nil
	}
	return nil, fault.New(fault.Usage, "--format: expected ocsf or csv, found %q", o.format)
}

// plainOut keeps a terminal from obeying what is written. Records are printable
// as they stand; this is a second fence.
func plainOut(f *os.File) io.Writer {
	if isTerminal(f) {
		return terminal.NewFilter(f)
	}
	return f
}
