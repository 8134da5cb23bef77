package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"nacre/audit"
	"nacre/terminal"
)

// print writes one record; a JSON line has what was found beside what stands there.
func (o *auditOptions) print(r audit.Record) error {
	if o.asJSON {
		return json.NewEncoder(o.app.Out).Encode(struct {
			audit.Record
			Note    string `json:"note,omitempty"`
			Problem string `json:"problem,omitempty"`
		}{r, r.Note, r.Problem})
	}
	line := fmt.Sprintf("%6d  %s  %-16s  %-8s  %-5s  %s", r.Seq, r.Time.Local().Format(time.DateTime), r.Kind, r.Sandbox, r.Decision, r.Reason)
	if command := r.Detail["command"]; command != "" {
		line += ": " + command
	}
	if r.Note != "" {
		line += "  [" + r.Note + "]"
	}
	if r.Problem != "" {
		line = fmt.Sprintf("%6d  TAMPERED: %s", r.Seq, r.Problem)
	}
	_, err := fmt.Fprintln(o.app.Out, terminal.Clean(line))
	return err
}

func (o *auditOptions) verify() error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	var report audit.Report
	err = o.app.patiently("reading the record", func() (err error) {
		report, err = audit.Verify(dir)
		return err
	})
	if o.asJSON {
		if e := o.app.printJSON(report); e != nil {
			return e
		}
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "%d records, none changed, missing or added; the last is %d, %s\n", report.Records, report.Seq, report.Head)
	if report.Torn {
		o.app.note("the end is torn: a crash, which the next record seals")
	}
	return err
}
