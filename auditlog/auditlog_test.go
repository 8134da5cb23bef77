package auditlog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"nacre/audit"
	"nacre/fault"
)

// open5 is a log of five records, and who writes to it.
func open5(t *testing.T) (dir string, l *audit.Log) {
	t.Helper()
	dir, _ = sample(t)
	return dir, openTest(t, dir)
}

func TestFollow(t *testing.T) {
	dir, l := open5(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen, done := make(chan Record), make(chan error, 1)
	go func() { done <- Follow(ctx, dir, func(r Record) error { seen <- r; return nil }) }()
	expect := func(want string) {
		t.Helper()
		if r := <-seen; r.Subject != want || r.Problem != "" {
			t.Fatalf("got %+v, want %q", r, want)
		}
	}
	for _, s := range []string{"a", "b", "c", "d", "e"} {
		expect(s)
	}
	record(t, l, "f", "g")
	expect("f")
	expect("g")
	f, err := os.OpenFile(current(dir), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString(`{"v":1,"se`)
	time.Sleep(2 * pollEvery) // let it be seen torn; it must do either way
	record(t, l, "h")
	if r := <-seen; !r.Crash() || r.Problem != "" {
		t.Fatalf("got %+v, want a crash", r)
	}
	expect("h")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFollowNoticesTheFileGoing(t *testing.T) {
	for name, do := range map[string]func(string){
		"shortened": func(dir string) { os.Truncate(current(dir), 10) },
		"replaced": func(dir string) {
			os.WriteFile(current(dir)+".new", bytes.Repeat([]byte("x"), 10_000), 0o600)
			os.Rename(current(dir)+".new", current(dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := open5(t)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := Follow(ctx, dir, func(r Record) error {
				if r.Seq == 5 {
					do(dir)
				}
				return nil
			})
			if fault.KindOf(err) != fault.Tampered || err == nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Damage is shown, and what follows it is too.
func TestFollowGoesOnAfterDamage(t *testing.T) {
	dir, _ := open5(t)
	b, err := os.ReadFile(current(dir))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	os.WriteFile(current(dir), b, 0o600)
	stop, n, bad := errors.New("stop"), 0, 0
	err = Follow(t.Context(), dir, func(r Record) error {
		if n++; r.Problem != "" {
			bad++
		}
		if n == 5 {
			f, _ := os.OpenFile(current(dir), os.O_WRONLY|os.O_APPEND, 0)
			defer f.Close()
			f.WriteString("hello\n")
		}
		if n == 6 {
			return stop
		}
		return nil
	})
	if err != stop || bad != 2 {
		t.Errorf("%d records, %d bad, %v", n, bad, err)
	}
}

func TestNotes(t *testing.T) {
	dir, l := open5(t)
	f, err := os.OpenFile(current(dir), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"v":1,"se`)
	f.Close()
	record(t, l, "f")
	var notes Notes
	var got []string
	if _, err := Read(dir, func(r Record) error { got = append(got, notes.Of(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 7 || got[5] != "torn record after sequence 5: crash, sealed" || got[6] != "" {
		t.Errorf("%q", got)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	notes = Notes{}
	for i, want := range []string{"", "the clock went back by 1h0m0s", ""} {
		at := now.Add([]time.Duration{0, -time.Hour, time.Second}[i])
		if got := notes.Of(Record{Record: audit.Record{Time: at}}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := notes.Of(Record{Problem: "x"}); got != "" || notes.Of(Record{Record: audit.Record{Time: now.Add(time.Second)}}) != "" {
		t.Errorf("a record that cannot be trusted was: %q", got)
	}
}
