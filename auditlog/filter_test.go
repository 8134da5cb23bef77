package auditlog

import (
	"testing"
	"time"

	"nacre"
	"nacre/audit"
	"nacre/fault"
)

func TestFilter(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := Record{Record: audit.Record{Time: at, Event: nacre.Event{Kind: "sandbox.start", Sandbox: "s1"}}}
	for name, c := range map[string]struct {
		f    Filter
		want bool
	}{
		"all":            {Filter{}, true},
		"sandbox":        {Filter{Sandbox: "s1"}, true},
		"other sandbox":  {Filter{Sandbox: "s"}, false},
		"kind":           {Filter{Kinds: []string{"x", "sandbox.start"}}, true},
		"pattern":        {Filter{Kinds: []string{"sandbox.*"}}, true},
		"other kind":     {Filter{Kinds: []string{"sandbox"}}, false},
		"since then":     {Filter{Since: at}, true},
		"since later":    {Filter{Since: at.Add(1)}, false},
		"until then":     {Filter{Until: at}, false},
		"until later":    {Filter{Until: at.Add(1)}, true},
		"one of two not": {Filter{Sandbox: "s1", Kinds: []string{"policy.*"}}, false},
	} {
		if got := c.f.Wants(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !(Filter{Sandbox: "s2", Kinds: []string{"x"}, Until: at}).Wants(Record{Problem: "tampered"}) {
		t.Error("a filter hides what was tampered with")
	}
	if err := (Filter{Kinds: []string{"["}}).Check(); fault.KindOf(err) != fault.Usage || err == nil {
		t.Errorf("got %v", err)
	}
}

func TestParseTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, zone)
	for text, want := range map[string]time.Time{
		"2026-03-01":                time.Date(2026, 3, 1, 0, 0, 0, 0, zone),
		"2026-03-01T10:30":          time.Date(2026, 3, 1, 10, 30, 0, 0, zone),
		"2026-03-01 10:30:05":       time.Date(2026, 3, 1, 10, 30, 5, 0, zone),
		"2026-03-01T10:30:05Z":      time.Date(2026, 3, 1, 10, 30, 5, 0, time.UTC),
		"2026-03-01T10:30:05+02:00": time.Date(2026, 3, 1, 8, 30, 5, 0, time.UTC),
		"90m":                       now.Add(-90 * time.Minute),
		"0s":                        now,
		"3d":                        time.Date(2026, 3, 7, 12, 0, 0, 0, zone),
	} {
		if got, err := ParseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "yesterday", "-1h", "-3d", "3", "99999999d", "2026-13-01", "d"} {
		if got, err := ParseTime(text, now); fault.KindOf(err) != fault.Usage || err == nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
