package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/audit"
	"nacre/auditlog"
)

// TestLargeRecordIsClosed: what a run does at its end closes a record's file at
// 64 MiB, not before, and says so where it cannot.
func TestLargeRecordIsClosed(t *testing.T) {
	who := owner{uid: os.Getuid(), state: t.TempDir()}
	log, err := audit.Open(who.auditDir(), who.uid)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	complaints, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer complaints.Close()
	app := &App{Err: complaints}
	closed := func() bool {
		app.keepAudit(t.Context(), who)
		_, err := os.Stat(filepath.Join(who.auditDir(), "audit-000000000001.jsonl"))
		return err == nil
	}
	file := filepath.Join(who.auditDir(), audit.FileName)
	whole := fullRecord(t)
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	os.WriteFile(file, whole[:last], 0o600)
	if closed() {
		t.Error("closed before it was full")
	}
	os.WriteFile(file, whole, 0o600)
	os.WriteFile(who.auditKey(), []byte("no key"), 0o600)
	if closed() {
		t.Error("closed without a key")
	}
	if said, _ := os.ReadFile(complaints.Name()); !strings.Contains(string(said), "nacre: the audit stays in one file: ") {
		t.Errorf("said %q", said)
	}
	os.Remove(who.auditKey())
	if !closed() {
		t.Error("not closed")
	}
	if report, err := auditlog.Verify(who.auditDir(), auditlog.Against{}); err != nil || report.Records < 1000 {
		t.Errorf("%+v, %v", report.Records, err)
	}
}

// fullRecord is as many large records as fill a file.
func fullRecord(t *testing.T) (b []byte) {
	t.Helper()
	h := audit.Head{Hash: audit.NoHash}
	e := nacre.Event{Kind: "test.event", Detail: map[string]string{}}
	for _, k := range []string{"a", "b", "c"} {
		e.Detail[k] = strings.Repeat("x", 16<<10)
	}
	for len(b) < auditlog.DefaultSize {
		var line []byte
		var err error
		if h, line, err = h.Next(e, time.Now()); err != nil {
			t.Fatal(err)
		}
		b = append(b, line...)
	}
	return b
}
