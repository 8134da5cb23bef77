package audit

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"nacre"
)

// FuzzEvent: whatever an event holds, it becomes one line that reads the same, and is printable.
func FuzzEvent(f *testing.F) {
	f.Add("kind", "subject", "key", "value", 1)
	f.Add("\n", "\xff\\\"", "\u2028", "\x00", 40)
	f.Fuzz(func(t *testing.T, kind, subject, key, value string, n int) {
		e := nacre.Event{Kind: kind, Subject: subject, Reason: value, Detail: map[string]string{}}
		for i := range n % 100 {
			e.Detail[key+string(rune('a'+i))] = value
		}
		h, line, err := Head{Hash: NoHash}.Next(e, time.Unix(1, 0))
		if err != nil || len(line) > MaxRecord || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q, %v", line, err)
		}
		var r Record
		if _, ok := Split(line); !ok || json.Unmarshal(line, &r) != nil || r.Hash != h.Hash || r.Subject != visible(subject, MaxRecord/4) && len(line) < 1000 {
			t.Fatalf("%q", line)
		}
		if i := bytes.IndexFunc(line[:len(line)-1], func(c rune) bool { return !Plain(c) }); i >= 0 {
			t.Fatalf("not printable at %d: %q", i, line)
		}
	})
}
