package auditlog

import (
	"path"
	"strconv"
	"strings"
	"time"

	"nacre/fault"
)

// Filter says which records are wanted. Its zero value wants all.
type Filter struct {
	Sandbox      string
	Kinds        []string  // patterns such as sandbox.*; any of them
	Since, Until time.Time // zero: no bound
}

// Check refuses patterns that can match nothing.
func (f Filter) Check() error {
	for _, k := range f.Kinds {
		if _, err := path.Match(k, ""); err != nil {
			return fault.Wrap(fault.Usage, err, "--kind: %q", k).WithHint("expected a kind such as sandbox.start, or sandbox.*")
		}
	}
	return nil
}

// Wants tells whether r is wanted. What was tampered with always is: nobody can
// say what it was.
func (f Filter) Wants(r Record) bool {
	switch {
	case r.Problem != "":
		return true
	case f.Sandbox != "" && r.Sandbox != f.Sandbox,
		!f.Since.IsZero() && r.Time.Before(f.Since),
		!f.Until.IsZero() && !r.Time.Before(f.Until):
		return false
	}
	for _, k := range f.Kinds {
		if ok, _ := path.Match(k, r.Kind); ok {
			return true
		}
	}
	return len(f.Kinds) == 0
}

// ParseTime reads a moment as people write it: 2026-03-01, 2026-03-01T12:00,
// RFC 3339, or how long before now: 90m, 24h, 30d.
func ParseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fault.New(fault.Usage, "expected a moment such as 2026-03-01, 2026-03-01T12:00, 24h or 30d (ago), found %q", text)
}
