package auditlog

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
)

const mark = "#torn\n" // closes a torn line

func event(subject string) nacre.Event {
	return nacre.Event{Kind: "test.event", Subject: subject, Caller: nacre.Caller{UID: 1, PID: 2, Name: "cli"}}
}

func openTest(t testing.TB, dir string) *audit.Log {
	t.Helper()
	l, err := audit.Open(dir, os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func record(t testing.TB, l *audit.Log, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		if err := l.Record(context.Background(), event(s)); err != nil {
			t.Fatal(err)
		}
	}
}

// all reads every record, and fails on anything but a good record.
func all(t testing.TB, dir string) ([]Record, Report) {
	t.Helper()
	var records []Record
	report, err := Read(dir, func(r Record) error { records = append(records, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return records, report
}

func subjects(records []Record) (s []string) {
	for _, r := range records {
		s = append(s, r.Subject)
	}
	return s
}

// crashes counts the sealed ones.
func crashes(records []Record) (n int) {
	for _, r := range records {
		if r.Crash() {
			n++
		}
	}
	return n
}

func current(dir string) string { return filepath.Join(dir, audit.FileName) }

func content(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(current(dir))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }
