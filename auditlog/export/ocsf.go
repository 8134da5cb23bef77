package export

import (
	"cmp"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"nacre"
	"nacre/audit"
	"nacre/auditlog"
)

// SchemaVersion is the version of OCSF that is written.
const SchemaVersion = "1.6.0"

// The classes of OCSF in use, by category, and what happened in them.
const (
	baseEvent        = 0
	processActivity  = 1007
	eventLogActivity = 1008
	detectionFinding = 2004
	entityManagement = 3004

	other = 99
)

// class is what a kind of record is in OCSF.
type class struct {
	uid, activity int
	name          string // of the activity
}

var classes = map[string]class{
	"sandbox.start":   {processActivity, 1, "Launch"},
	"sandbox.exec":    {processActivity, 1, "Launch"},
	"sandbox.refused": {processActivity, 1, "Launch"},
	"sandbox.end":     {processActivity, 2, "Terminate"},
	"sandbox.traps":   {detectionFinding, 1, "Create"},
	"policy.allow":    {entityManagement, 3, "Update"},
	"records.removed": {eventLogActivity, 2, "Delete"},
	audit.KindSegment: {eventLogActivity, 5, "Rotate"},
	audit.KindCrash:   {eventLogActivity, other, "Crash"},
}

// classOf finds a record's class. A denial of any other kind is a finding; the
// rest belongs to no class.
func classOf(r auditlog.Record) class {
	c, known := classes[r.Kind]
	switch {
	case r.Problem != "":
		return class{eventLogActivity, other, "Tampered"}
	case known:
		return c
	case r.Decision == nacre.Deny:
		return class{detectionFinding, 1, "Create"}
	}
	return class{baseEvent, other, r.Kind}
}

type object map[string]any

// OCSF writes one event for each line.
type OCSF struct {
	enc  *json.Encoder
	Host string // the machine that the record is of
	Log  string // the name of the log
	Tool string // the version of nacre
}

// NewOCSF writes to w.
func NewOCSF(w io.Writer, host, log, tool string) *OCSF {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &OCSF{enc: enc, Host: host, Log: log, Tool: tool}
}

// Flush does nothing: every line is written at once.
func (o *OCSF) Flush() error { return nil }

// Write adds one record.
func (o *OCSF) Write(r auditlog.Record) error { return o.enc.Encode(o.event(r)) }

func (o *OCSF) event(r auditlog.Record) object {
	c := classOf(r)
	severity, name := severityOf(r)
	e := object{
		"class_uid": c.uid, "category_uid": c.uid / 1000, "activity_id": c.activity, "activity_name": c.name, "type_uid": c.uid*100 + c.activity,
		"severity_id": severity, "severity": name,
		"metadata": object{
			"version": SchemaVersion, "uid": r.Hash, "sequence": r.Seq, "event_code": r.Kind, "log_name": o.Log, "log_provider": "nacre",
			"log_version": strconv.Itoa(audit.Version), "profiles": []string{"host"}, "product": object{"name": "Nacre", "vendor_name": "Nacre", "version": o.Tool},
		},
		"device": object{"hostname": o.Host, "type_id": 0, "type": "Unknown"},
	}
	if r.Problem != "" {
		e["time"], e["message"], e["log_name"] = 0, "TAMPERED: "+r.Problem, o.Log
		e["actor"] = object{"app_name": "unknown"}
		return e
	}
	e["time"], e["message"] = r.Time.UnixMilli(), cmp.Or(r.Reason, r.Kind)
	e["actor"] = object{
		"app_name": cmp.Or(r.Caller.Name, "unknown"), "user": object{"uid": strconv.Itoa(r.Caller.UID)},
		"process": object{"pid": r.Caller.PID, "name": r.Caller.Name},
	}
	e["unmapped"] = object{
		"decision": r.Decision.String(), "rule": r.Rule, "sandbox": r.Sandbox, "plan": r.Plan, "subject": r.Subject,
		"detail": r.Detail, "prev": r.Prev, "time": r.Time, "v": r.Version,
	}
	o.own(e, r, c)
	return e
}

// program is the first word of a command as it was recorded: in quotes, or, before that
// was so, up to a space.
func program(command string) string {
	name, _, _ := strings.Cut(command, " ")
	command = strings.ReplaceAll(command, `\\`, `\`) // once: the record writes each twice
	if first, err := strconv.QuotedPrefix(command); err == nil {
		name, _ = strconv.Unquote(first) // it is quoted
	}
	return name
}

// own adds what a class has beyond what all have.
func (o *OCSF) own(e object, r auditlog.Record, c class) {
	switch c.uid {
	case processActivity:
		status, word, action := 1, "Success", 1
		if r.Decision == nacre.Deny {
			status, word, action = 2, "Failure", 2
		}
		e["status_id"], e["status"], e["action_id"] = status, word, action
		e["metadata"].(object)["profiles"] = []string{"host", "security_control"}
		process := object{"uid": cmp.Or(r.Sandbox, r.Hash)} // what was refused before it had a sandbox is its record
		if r.Sandbox != "" {
			process["sandbox"] = r.Sandbox
		}
		if command := r.Detail["command"]; command != "" {
			process["cmd_line"] = command
			process["name"] = program(command)
		}
		e["process"] = process
		if code, err := strconv.Atoi(r.Detail["code"]); err == nil && r.Kind == "sandbox.end" {
			e["exit_code"] = code
		}
	case eventLogActivity:
		e["log_name"], e["log_provider"] = o.Log, "nacre"
	case detectionFinding:
		e["finding_info"] = object{"uid": r.Hash, "title": cmp.Or(r.Reason, r.Kind), "types": []string{r.Kind}}
		e["status_id"], e["status"] = 1, "New"
	case entityManagement:
		e["entity"] = object{"name": cmp.Or(r.Detail["file"], "policy"), "type": "policy", "data": object{"line": r.Detail["line"]}}
		e["comment"] = r.Reason
	}
}

// severityOf says how much a record should disturb.
func severityOf(r auditlog.Record) (int, string) {
	switch {
	case r.Problem != "":
		return 5, "Critical"
	case r.Kind == "sandbox.traps", r.Detail["leftover"] != "":
		return 3, "Medium"
	case r.Decision == nacre.Deny, r.Kind == "records.removed":
		return 2, "Low"
	}
	return 1, "Informational"
}
