package attack

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"nacre/attack/wire"
)

func sample() Report {
	return Report{Name: "a sandbox", Flags: "box --tight `x`", Entries: []Entry{
		{Spec: wire.Spec{ID: "b.two", Reference: "x(2)"}, Verdict: wire.Escaped, Evidence: "a | b <script>", Proven: true},
		{Spec: wire.Spec{ID: "a.one"}, Verdict: wire.Contained, Evidence: "EPERM"},
	}}
}

func TestReportForms(t *testing.T) {
	r := sample()
	var table, markdown, text bytes.Buffer
	if r.Table(&table) != nil || r.Markdown(&markdown) != nil || r.JSON(&text) != nil {
		t.Fatal("a form fails")
	}
	if s := table.String(); !strings.Contains(s, "box --tight") || strings.Index(s, "a.one") > strings.Index(s, "b.two") || !strings.Contains(s, "1 escaped, 1 contained") {
		t.Errorf("table:\n%s", s)
	}
	if s := markdown.String(); !strings.Contains(s, "`box --tight 'x'`") || !strings.Contains(s, `a \| b &lt;script>`) {
		t.Errorf("markdown:\n%s", s)
	}
	var back Report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil || len(back.Entries) != 2 || back.Entries[1].Verdict != wire.Escaped || back.Entries[1].ID != "b.two" {
		t.Errorf("json: %v\n%s", err, text.String())
	}
}

func TestHeld(t *testing.T) {
	contained := Entry{Verdict: wire.Contained}
	for _, c := range []struct {
		name string
		r    Report
		want bool
	}{
		{"nothing", Report{}, false},
		{"contained", Report{Entries: []Entry{contained}}, true},
		{"noted too", Report{Entries: []Entry{contained, {Verdict: wire.Info}, {Verdict: wire.NotApplicable}}}, true},
		{"only not applicable", Report{Entries: []Entry{{Verdict: wire.NotApplicable}}}, false},
		{"escaped", Report{Entries: []Entry{contained, {Verdict: wire.Escaped}}}, false},
		{"error", Report{Entries: []Entry{contained, {Verdict: wire.Error}}}, false},
		{"left behind", Report{Entries: []Entry{contained}, Leftovers: []string{"x"}}, false},
	} {
		if got := c.r.Held(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestAdmitted: what a sandbox does not claim is noted with the reason, and
// nothing else is forgiven.
func TestAdmitted(t *testing.T) {
	var r Report
	j := judge{report: &r, options: Options{Admitted: map[string]string{"exhaustion.cpu": "a reason"}}}
	for _, id := range []string{"exhaustion.cpu", "exhaustion.forks"} {
		j.add(Entry{Spec: wire.Spec{ID: id}, Verdict: wire.Escaped, Evidence: "seen"})
	}
	j.add(Entry{Spec: wire.Spec{ID: "exhaustion.cpu"}, Verdict: wire.Error})
	if e := r.Entries; e[0].Verdict != wire.Info || e[0].Evidence != "a reason: seen" || e[1].Verdict != wire.Escaped || e[2].Verdict != wire.Error {
		t.Errorf("%+v", e)
	}
}
