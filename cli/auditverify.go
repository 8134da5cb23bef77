package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"nacre/auditlog"
	"nacre/fault"
)

func newAuditVerify(o *auditOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that no record was changed, removed or added", Args: takes(0, 0, "no arguments"),
		Long: `Check that no record was changed, moved, added or removed. Records that were cut
off the end, and a record that somebody with your rights wrote anew, show only
beside a checkpoint that was kept elsewhere. On another machine give the folder
(or a copy), the checkpoint and the verifier key that nacre audit key printed.`,
		Example: `  nacre audit verify
  nacre audit verify --checkpoint /media/stick/checkpoint
  nacre audit verify --dir copy --checkpoint checkpoint --key nacre-audit-4k2…+0a1b2c3d+AR…
  nacre audit verify --proof record.tlog-proof --key nacre-audit-4k2…+0a1b2c3d+AR…`,
		RunE: func(*cobra.Command, []string) error {
			if o.proof != "" {
				return o.checkProof()
			}
			return o.verify()
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.checkpoints, "checkpoint", nil, "hold the record against a checkpoint in a `FILE`; may be repeated")
	f.StringVar(&o.key, "key", "", "the `VERIFIER-KEY` of the checkpoints; your own if left out")
	f.StringVar(&o.folder, "dir", "", "the record in another `FOLDER`")
	f.StringVar(&o.proof, "proof", "", "check the proof of one record in a `FILE`; the record itself is not needed")
	f.BoolVar(&o.asJSON, "json", false, "print as JSON")
	cmd.MarkFlagsMutuallyExclusive("proof", "checkpoint")
	cmd.MarkFlagsMutuallyExclusive("proof", "dir")
	return cmd
}

// keys are what checkpoints are held against: the key that is given, else the
// owner's own, if there is one.
func (o *auditOptions) keys() ([]note.Verifier, error) {
	if o.key != "" {
		k, err := auditlog.ParseVerifier(o.key)
		return []note.Verifier{k}, err
	}
	who, err := o.app.owner()
	if err != nil {
		return nil, err
	}
	k, err := auditlog.LoadKey(who.auditKey(), who.uid)
	if fault.KindOf(err) == fault.NotFound && len(o.checkpoints) == 0 && o.proof == "" {
		return nil, nil
	}
	return []note.Verifier{k}, err
}

// readSmall reads a file that somebody gives, which is to be small.
func readSmall(path string) ([]byte, error) {
	const most = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "cannot read it")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "cannot read it")
	}
	return b, nil
}

// against gathers what the record is held against.
func (o *auditOptions) against() (a auditlog.Against, err error) {
	if a.Keys, err = o.keys(); err != nil {
		return a, err
	}
	for _, path := range o.checkpoints {
		b, err := readSmall(path)
		if err != nil {
			return a, err
		}
		c, err := auditlog.OpenCheckpoint(b, a.Keys...)
		if err != nil {
			return a, fault.Wrap(fault.KindOf(err), err, "%s", path).WithHint("%s", fault.HintOf(err))
		}
		a.Checkpoints = append(a.Checkpoints, c)
	}
	return a, nil
}

func (o *auditOptions) verify() error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	against, err := o.against()
	if err != nil {
		return err
	}
	var report auditlog.Report
	err = o.app.patiently("reading the record", func() (err error) {
		report, err = auditlog.Verify(dir, against)
		return err
	})
	if fault.KindOf(err) == fault.Tampered { // whose hint is this very command
		err = fault.New(fault.Tampered, "%v", err).WithHint("find out who changed it; to begin anew, move the folder aside and keep it")
	}
	if o.asJSON {
		if e := o.app.printJSON(report); e != nil {
			return e
		}
		return err
	}
	if err != nil {
		return err
	}
	if report.Removed > 0 {
		fmt.Fprintf(o.app.Out, "records 1 to %d were removed by retention, the rest is proven\n", report.Removed)
	}
	_, err = fmt.Fprintf(o.app.Out, "%d records, none changed, missing or added; the last is %d, %s\n", report.Records, report.Seq, report.Head)
	switch {
	case report.Signed > 0:
		fmt.Fprintf(o.app.Out, "the first %d are those that the checkpoint was made of\n", report.Signed)
	case report.Seq > 0:
		o.app.note("what was cut off the end shows only beside a checkpoint kept elsewhere (nacre audit checkpoint)")
	}
	if report.Torn {
		o.app.note("the end is torn: a crash, which the next record seals")
	}
	return err
}

// checkProof needs nothing but the proof and a key.
func (o *auditOptions) checkProof() error {
	keys, err := o.keys()
	if err != nil {
		return err
	}
	b, err := readSmall(o.proof)
	if err != nil {
		return err
	}
	r, c, err := auditlog.CheckProof(b, keys...)
	if err != nil {
		return err
	}
	if !o.asJSON {
		fmt.Fprintf(o.app.Out, "proven: record %d of the %d that %s signed\n", r.Seq, c.Tree.N, oneLine(c.Origin))
	}
	return o.print(r)
}
