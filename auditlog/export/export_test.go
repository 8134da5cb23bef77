package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/audit"
	"nacre/auditlog"
)

func sample(kind string, decision nacre.Effect, detail map[string]string) auditlog.Record {
	return auditlog.Record{Record: audit.Record{
		Version: 1, Seq: 7, Time: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), Prev: "aa", Hash: "bb",
		Event: nacre.Event{Kind: kind, Sandbox: "s1", Plan: "sha256:cc", Subject: "agent.yaml", Caller: nacre.Caller{UID: 1000, PID: 42, Name: "cli"},
			Decision: decision, Rule: "plan", Reason: "because", Detail: detail},
	}}
}

// required are the attributes that OCSF 1.6.0 requires of each class in use;
// a dot leads into an object.
var required = map[int][]string{
	baseEvent:        {},
	processActivity:  {"actor", "device.type_id", "process.uid"},
	eventLogActivity: {"actor", "device.type_id", "log_name"},
	detectionFinding: {"finding_info.title", "finding_info.uid"},
	entityManagement: {"entity.name"},
}

func TestOCSF(t *testing.T) {
	for _, c := range []struct {
		kind                      string
		decision                  nacre.Effect
		detail                    map[string]string
		class, activity, severity int
	}{
		{"sandbox.start", nacre.Allow, map[string]string{"command": "make test"}, processActivity, 1, 1},
		{"sandbox.exec", nacre.Allow, map[string]string{"command": "ps"}, processActivity, 1, 1},
		{"sandbox.refused", nacre.Deny, nil, processActivity, 1, 2},
		{"sandbox.end", nacre.Allow, map[string]string{"code": "137"}, processActivity, 2, 1},
		{"sandbox.end", nacre.Allow, map[string]string{"code": "0", "leftover": "x"}, processActivity, 2, 3}, // as it was until sandbox.leftover
		{"sandbox.leftover", nacre.Deny, map[string]string{"leftover": "x"}, detectionFinding, 1, 3},
		{"sandbox.traps", nacre.Allow, nil, detectionFinding, 1, 3},
		{"syscall.denied", nacre.Deny, nil, detectionFinding, 1, 2},
		{"policy.allow", nacre.Allow, map[string]string{"file": "/p", "line": "x: 1"}, entityManagement, 3, 1},
		{"records.removed", nacre.Allow, nil, eventLogActivity, 2, 2},
		{"audit.segment", nacre.Allow, nil, eventLogActivity, 5, 1},
		{"audit.crash", nacre.Deny, nil, eventLogActivity, 99, 2},
		{"something.new", nacre.Allow, nil, baseEvent, 99, 1},
	} {
		e := written(t, sample(c.kind, c.decision, c.detail))
		want := object{"class_uid": c.class, "category_uid": c.class / 1000, "activity_id": c.activity, "type_uid": c.class*100 + c.activity,
			"severity_id": c.severity, "time": 1772366400123, "metadata.version": "1.6.0", "metadata.sequence": 7, "metadata.uid": "bb",
			"metadata.product.name": "Nacre", "metadata.event_code": c.kind, "unmapped.plan": "sha256:cc", "unmapped.prev": "aa", "device.hostname": "host"}
		for at, value := range want {
			if got := find(e, at); got != fmt.Sprint(value) {
				t.Errorf("%s: %s is %q, want %v", c.kind, at, got, value)
			}
		}
		for _, at := range required[c.class] {
			if find(e, at) == "" {
				t.Errorf("%s lacks %s", c.kind, at)
			}
		}
		for k, v := range c.detail {
			if find(e, "unmapped.detail."+k) != v {
				t.Errorf("%s lost its %s", c.kind, k)
			}
		}
	}
}

func TestOCSFOfProcesses(t *testing.T) {
	e := written(t, sample("sandbox.start", nacre.Allow, map[string]string{"command": "make test"}))
	for at, want := range map[string]string{"process.cmd_line": "make test", "process.name": "make", "status_id": "1", "action_id": "1", "actor.user.uid": "1000"} {
		if got := find(e, at); got != want {
			t.Errorf("%s is %q, want %q", at, got, want)
		}
	}
	for command, name := range map[string]string{`"my \\"prog" "x"`: `my "prog`, `"sh"`: "sh", `"cut \\cut{9 bytes}`: `"cut`} {
		e = written(t, sample("sandbox.exec", nacre.Allow, map[string]string{"command": command}))
		if got := find(e, "process.name"); got != name {
			t.Errorf("%s: the program is %q, want %q", command, got, name)
		}
	}
	e = written(t, sample("sandbox.end", nacre.Allow, map[string]string{"code": "137"}))
	if find(e, "exit_code") != "137" {
		t.Errorf("%v", e)
	}
	r := sample("sandbox.refused", nacre.Deny, nil)
	if e = written(t, r); find(e, "status_id") != "2" || find(e, "action_id") != "2" || find(e, "process.uid") != "s1" {
		t.Errorf("%v", e)
	}
	r.Sandbox = "" // by the policy: there never was one
	if e = written(t, r); find(e, "process.uid") != "bb" || find(e, "process.sandbox") != "" || find(e, "class_uid") != "1007" {
		t.Errorf("%v", e)
	}
}

func TestTamperedIsExported(t *testing.T) {
	r := auditlog.Record{Record: audit.Record{Seq: 3}, Problem: "changed"}
	e := written(t, r)
	if find(e, "severity_id") != "5" || find(e, "class_uid") != "1008" || find(e, "metadata.sequence") != "3" || !strings.Contains(find(e, "message"), "changed") {
		t.Errorf("%v", e)
	}
	rows := table(t, r)
	if rows[1][0] != "3" || rows[1][len(columns)-1] != "changed" || rows[1][1] != "" {
		t.Errorf("%q", rows[1])
	}
}

// written is a record as one line of JSON, read back.
func written(t *testing.T, r auditlog.Record) (e object) {
	t.Helper()
	var b bytes.Buffer
	w := NewOCSF(&b, "host", "nacre-audit-x", "test")
	if err := w.Write(r); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b.Bytes()))
	d.UseNumber()
	if err := d.Decode(&e); err != nil || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%q: %v", &b, err)
	}
	return e
}

// find is what stands at a place, as text.
func find(e object, at string) string {
	var v any = map[string]any(e)
	for _, key := range strings.Split(at, ".") {
		m, ok := v.(map[string]any)
		if !ok || m[key] == nil {
			return ""
		}
		v = m[key]
	}
	return fmt.Sprint(v)
}

func table(t *testing.T, records ...auditlog.Record) [][]string {
	t.Helper()
	var b bytes.Buffer
	w := NewCSV(&b)
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "\r\n") != strings.Count(b.String(), "\n") {
		t.Errorf("lines do not end as RFC 4180 says: %q", &b)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != len(records)+1 || !slices.Equal(rows[0], columns) {
		t.Fatalf("%q, %v", rows, err)
	}
	return rows
}

func TestCSV(t *testing.T) {
	rows := table(t, sample("sandbox.start", nacre.Deny, map[string]string{"b": `"2",`, "a": "1"}))
	want := []string{"7", "2026-03-01T12:00:00.123456789Z", "sandbox.start", "deny", "s1", "sha256:cc", "agent.yaml", "1000", "42", "cli", "plan", "because",
		`{"a":"1","b":"\"2\","}`, "aa", "bb", ""}
	if !slices.Equal(rows[1], want) {
		t.Errorf("got  %q\nwant %q", rows[1], want)
	}
	table(t)
}

// A cell that some program would run stays text in it.
func TestCSVHasNoFormulas(t *testing.T) {
	for _, evil := range []string{`=cmd|' /C calc'!A0`, "+1", "-1+1", "@SUM(1)", "\t=1", "  =1", "\u00a0=1", "＝1", "＋1", "－1", "＠x", "|x", "%x"} {
		r := sample("sandbox.start", nacre.Allow, nil)
		r.Subject, r.Reason, r.Kind = evil, evil, evil
		row := table(t, r)[1]
		for _, cell := range row {
			if strings.Contains(cell, evil) && cell != "'"+evil {
				t.Errorf("%q is written %q", evil, cell)
			}
		}
		if row[6] != "'"+evil {
			t.Errorf("%q is written %q", evil, row[6])
		}
	}
}

// FuzzExport: whatever a record holds, it is one line of JSON and one row whose
// cells no spreadsheet computes.
func FuzzExport(f *testing.F) {
	f.Add("sandbox.start", "=1+1", "command", "a,b\"\n", "")
	f.Add("x", "\x00\xff", "", "\u2028", "bad")
	f.Fuzz(func(t *testing.T, kind, reason, key, value, problem string) {
		r := sample(kind, nacre.Allow, map[string]string{key: value})
		r.Reason, r.Subject, r.Problem = reason, value, problem
		written(t, r)
		for _, cell := range table(t, r)[1] {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("%q", cell)
			}
		}
	})
}
