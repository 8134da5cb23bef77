// Package export writes records for other programs: one JSON object of the Open
// Cybersecurity Schema Framework (OCSF) for each line, or a table as CSV. Nothing
// of a record is left out; what has no place of its own is under "unmapped".
// docs/AUDIT.md has the mapping.
package export

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"nacre/auditlog"
)

// columns are the heading of the table.
var columns = []string{"seq", "time", "kind", "decision", "sandbox", "plan", "subject", "caller_uid", "caller_pid", "caller_name",
	"rule", "reason", "detail", "prev", "hash", "problem"}

// CSV writes a table (RFC 4180, with a heading). A cell that a spreadsheet would
// take for a formula begins with an apostrophe.
type CSV struct {
	w       *csv.Writer
	started bool
}

// NewCSV writes to w. Flush at the end.
func NewCSV(w io.Writer) *CSV {
	c := &CSV{w: csv.NewWriter(w)}
	c.w.UseCRLF = true
	return c
}

// Write adds one record.
func (c *CSV) Write(r auditlog.Record) error {
	if err := c.heading(); err != nil {
		return err
	}
	seq := strconv.FormatUint(r.Seq, 10)
	if r.Problem != "" {
		row := make([]string, len(columns))
		row[0], row[len(row)-1] = seq, harmless(r.Problem)
		return c.w.Write(row)
	}
	detail, err := json.Marshal(r.Detail)
	if err != nil {
		return err
	}
	row := []string{seq, r.Time.Format(time.RFC3339Nano), r.Kind, r.Decision.String(), r.Sandbox, r.Plan, r.Subject, strconv.Itoa(r.Caller.UID),
		strconv.Itoa(r.Caller.PID), r.Caller.Name, r.Rule, r.Reason, string(detail), r.Prev, r.Hash, ""}
	for i, cell := range row {
		row[i] = harmless(cell)
	}
	return c.w.Write(row)
}

func (c *CSV) heading() error {
	if c.started {
		return nil
	}
	c.started = true
	return c.w.Write(columns)
}

// Flush writes what is left; a table without records has its heading.
func (c *CSV) Flush() error {
	if err := c.heading(); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

// harmless keeps a cell from being a formula, also behind spaces, which some
// programs skip, and in the full width that others fold.
func harmless(cell string) string {
	if strings.IndexAny(strings.TrimLeft(cell, " \u00a0\u3000"), "=+-@\t\r\n|%＝＋－＠") == 0 {
		return "'" + cell
	}
	return cell
}
