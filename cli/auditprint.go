package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"nacre/auditlog"
	"nacre/terminal"
)

// print writes one record; a JSON line has what was found beside what stands there.
func (o *auditOptions) print(r auditlog.Record) error {
	note := o.notes.Of(r)
	if o.asJSON {
		enc := json.NewEncoder(o.app.Out)
		enc.SetEscapeHTML(false)
		return enc.Encode(struct {
			auditlog.Record
			Note    string `json:"note,omitempty"`
			Problem string `json:"problem,omitempty"`
		}{r, note, r.Problem})
	}
	line := fmt.Sprintf("%6d  %s  %-16s  %-8s  %-5s  %s", r.Seq, r.Time.Local().Format(time.DateTime), r.Kind, r.Sandbox, r.Decision, r.Reason)
	// What is told besides: the command, what a request was for, how it ended.
	for _, told := range []string{r.Detail["command"], r.Detail["to"], strings.TrimPrefix(r.Detail["code"], "0")} {
		if told != "" {
			line += ": " + told
		}
	}
	if remedy := r.Detail["remedy"]; remedy != "" {
		line += "  (" + remedy + " in manifest and policy would allow it)"
	}
	if note != "" {
		line += "  [" + note + "]"
	}
	if r.Problem != "" {
		line = fmt.Sprintf("%6d  TAMPERED: %s", r.Seq, r.Problem)
	}
	_, err := fmt.Fprintln(o.app.Out, terminal.Clean(line))
	return err
}
