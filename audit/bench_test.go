package audit

import (
	"context"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkRecord against BenchmarkSync shows what a record costs beyond the
// one fdatasync, also at the end of a log of 20,000 records.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{0, 20_000} {
		b.Run(map[int]string{0: "new", 20_000: "long"}[size], func(b *testing.B) {
			dir := b.TempDir()
			l := openTest(b, dir)
			h := Head{Hash: NoHash}
			var all, line []byte
			for range size {
				h, line, _ = h.Next(event("x"), l.now())
				all = append(all, line...)
			}
			if err := os.WriteFile(path(dir), all, 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := l.Record(context.Background(), event("x")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSync is the least that a durable line costs on this disk.
func BenchmarkSync(b *testing.B) {
	f, err := os.OpenFile(b.TempDir()+"/f", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	line := make([]byte, 330)
	for b.Loop() {
		f.Write(line)
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
}
