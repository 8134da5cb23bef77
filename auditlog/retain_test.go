package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nacre"
	"nacre/fault"
)

func TestRetention(t *testing.T) {
	dir, l := three(t)
	key, checkpoint := testKey(t, dir), mustSign(t, dir)
	whole, before := all(t, dir)
	r := remover(t, dir, l)
	r.Keep = 2
	if done, err := r.Remove(t.Context()); err != nil || len(done.Files) > 0 || len(files(t, dir)) != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	r.Keep, r.Before = 0, time.Now().Add(-time.Hour)
	if done, err := r.Remove(t.Context()); err != nil || len(done.Files) > 0 {
		t.Fatalf("what is young was removed: %+v, %v", done, err)
	}
	r.Keep, r.Before = 1, time.Now().Add(time.Hour)
	done, err := r.Remove(t.Context())
	if err != nil || fmt.Sprint(done) != "{[audit-000000000001.jsonl] 5}" {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := fmt.Sprint(files(t, dir)); got != "[audit-000000000001.hashes audit-000000000006.jsonl audit.jsonl]" {
		t.Error(got)
	}
	records, report := all(t, dir)
	if report.Removed != 5 || report.Seq != before.Seq+1 || len(records) != len(whole)-5+1 || records[len(records)-1].Kind != kindRemoved {
		t.Errorf("%+v", report)
	}
	if got, err := holds(t, dir, key, checkpoint, mustSign(t, dir)); err != nil || got.Signed != report.Seq {
		t.Errorf("%+v, %v", got, err)
	}
	rotate(t, dir)
	record(t, l, "more")
	r.Keep = 0
	if done, err := r.Remove(t.Context()); err != nil || len(done.Files) != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := holds(t, dir, key, checkpoint); err != nil {
		t.Error(err)
	}
}

// What is left of removed records is as well guarded as records are.
func TestTamperWithRetention(t *testing.T) {
	hashes := func(dir string) string { return filepath.Join(dir, "audit-000000000001.hashes") }
	edit := func(f func(b []byte) []byte) func(string) {
		return func(dir string) {
			b, _ := os.ReadFile(hashes(dir))
			os.WriteFile(hashes(dir), f(b), 0o600)
		}
	}
	tests := map[string]func(dir string){
		"hashes removed":  func(d string) { os.Remove(hashes(d)) },
		"hash changed":    edit(func(b []byte) []byte { b[40] ^= 1; return b }),
		"hash removed":    edit(func(b []byte) []byte { return b[32:] }),
		"last removed":    edit(func(b []byte) []byte { return b[:len(b)-32] }),
		"hash added":      edit(func(b []byte) []byte { return append(b, make([]byte, 32)...) }),
		"hashes swapped":  edit(func(b []byte) []byte { return append(bytes.Clone(b[32:64]), append(b[:32:32], b[64:]...)...) }),
		"hashes cut":      edit(func(b []byte) []byte { return b[:50] }),
		"hashes emptied":  edit(func([]byte) []byte { return nil }),
		"one more gone":   func(d string) { os.Remove(filepath.Join(d, "audit-000000000006.jsonl")) },
		"one more hidden": func(d string) { hide(d) },
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			dir, l := three(t)
			r := remover(t, dir, l)
			r.Keep = 1
			if _, err := r.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			all(t, dir)
			do(dir)
			if report, err := Verify(dir, Against{}); err == nil || fault.KindOf(err) != fault.Tampered {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// hide removes the second file as retention would, but without a record of it.
func hide(dir string) {
	r := Remover{Dir: dir, Owner: os.Getuid(), Log: silent{}}
	if _, err := r.Remove(context.Background()); err != nil {
		panic(err)
	}
}

type silent struct{}

func (silent) Record(context.Context, nacre.Event) error { return nil }

type refusing struct{}

func (refusing) Record(context.Context, nacre.Event) error { return errors.New("no") }

// No record, no removal; and nothing is removed of a record that is not whole.
func TestRetentionRefuses(t *testing.T) {
	dir, l := three(t)
	if _, err := remover(t, dir, refusing{}).Remove(t.Context()); err == nil || len(files(t, dir)) != 3 {
		t.Errorf("%v", err)
	}
	all(t, dir)
	p := filepath.Join(dir, "audit-000000000006.jsonl")
	b, _ := os.ReadFile(p)
	b[len(b)/2] ^= 1
	os.WriteFile(p, b, 0o600)
	if _, err := remover(t, dir, l).Remove(t.Context()); fault.KindOf(err) != fault.Tampered || len(files(t, dir)) != 3 {
		t.Errorf("%v", err)
	}
}

// A removal that was interrupted at any point verifies, and is gone on with.
func TestRetentionInterrupted(t *testing.T) {
	dir, l := three(t)
	old := copyRecord(t, dir)
	if _, err := remover(t, dir, l).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "audit-000000000001.jsonl")
	b, _ := os.ReadFile(filepath.Join(old, filepath.Base(first)))
	os.WriteFile(first, b, 0o600)
	if _, err := Verify(dir, Against{}); fault.KindOf(err) != fault.Tampered || err == nil {
		t.Errorf("removed in the middle, which retention never does: %v", err)
	}
	os.Remove(first)
	for _, name := range []string{"audit-000000000006.jsonl", "audit-000000000001.jsonl"} { // undone, the last first
		b, _ := os.ReadFile(filepath.Join(old, name))
		os.WriteFile(filepath.Join(dir, name), b, 0o600)
		if _, report := all(t, dir); name == "audit-000000000006.jsonl" && report.Removed != 5 {
			t.Errorf("%+v", report)
		}
	}
	if done, err := remover(t, dir, l).Remove(t.Context()); err != nil || len(done.Files) != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	if _, report := all(t, dir); report.Removed != 11 {
		t.Errorf("%+v", report)
	}
}

// The second name that an interrupted rotation gave the newest file is not a
// closed file, and is not removed as one.
func TestRetentionAfterInterruptedRotation(t *testing.T) {
	dir, _ := sample(t)
	if err := os.Link(current(dir), filepath.Join(dir, "audit-000000000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	if done, err := remover(t, dir, openTest(t, dir)).Remove(t.Context()); err != nil || len(done.Files) > 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if _, report := all(t, dir); report.Seq != 5 || report.Removed != 0 {
		t.Errorf("%+v", report)
	}
}
