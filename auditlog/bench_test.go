package auditlog

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"nacre/audit"
)

// large is a record in one file of at least that many bytes.
func large(b *testing.B, size int) (dir string, records int) {
	dir = filepath.Join(b.TempDir(), "audit")
	openTest(b, dir)
	h := audit.Head{Hash: audit.NoHash}
	e := event("agent.yaml")
	e.Detail = map[string]string{"command": "make test", "warnings": "", "accepted": "[]"}
	var all []byte
	for ; len(all) < size; records++ {
		var line []byte
		h, line, _ = h.Next(e, time.Now())
		all = append(all, line...)
	}
	if err := os.WriteFile(current(dir), all, 0o600); err != nil {
		b.Fatal(err)
	}
	return dir, records
}

// BenchmarkVerify is what reading and proving a record costs.
func BenchmarkVerify(b *testing.B) {
	dir, n := large(b, 4<<20)
	b.SetBytes(4 << 20)
	for b.Loop() {
		if _, err := Verify(dir, Against{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkRotate is what closing a full file takes; other writers wait only for
// the last part of it.
func BenchmarkRotate(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir, _ := large(b, DefaultSize)
		r := rotator(b, dir)
		b.StartTimer()
		if c, err := r.Rotate(b.Context()); err != nil || c == nil {
			b.Fatal(err)
		}
	}
}
