package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

var _ nacre.Recorder = (*Log)(nil)

func event(subject string) nacre.Event {
	return nacre.Event{Kind: "test.event", Subject: subject, Caller: nacre.Caller{UID: 1, PID: 2, Name: "cli"}}
}

func openTest(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := Open(dir, os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func record(t testing.TB, l *Log, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		if err := l.Record(context.Background(), event(s)); err != nil {
			t.Fatal(err)
		}
	}
}

// report is what a log comes to.
type report struct {
	Records, Seq uint64
	Head         string
	Torn         bool
}

// chain reads a log as plainly as can be: these tests do not lean on the reader
// that people use.
func chain(dir string) (records []Record, rep report, err error) {
	b, err := os.ReadFile(path(dir))
	rep.Head = NoHash
	for line := range bytes.Lines(b) {
		if rep.Torn = rep.Torn || IsTorn(line); IsTorn(line) {
			continue
		}
		var r Record
		if _, ok := Split(line); !ok || json.Unmarshal(line, &r) != nil {
			return records, rep, fmt.Errorf("no record: %q", line)
		}
		if r.Seq != rep.Seq+1 || r.Prev != rep.Head || rep.Torn != (r.Kind == KindCrash) {
			return records, rep, fmt.Errorf("not the next record: %q", line)
		}
		records, rep = append(records, r), report{rep.Records + 1, r.Seq, r.Hash, false}
	}
	return records, rep, err
}

// all reads every record, and fails on anything but a good chain.
func all(t testing.TB, dir string) ([]Record, report) {
	t.Helper()
	records, rep, err := chain(dir)
	if err != nil {
		t.Fatal(err)
	}
	return records, rep
}

func subjects(records []Record) (s []string) {
	for _, r := range records {
		s = append(s, r.Subject)
	}
	return s
}

func path(dir string) string { return filepath.Join(dir, FileName) }

func content(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(path(dir))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordKeepsEveryField(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "nacre", "audit")
	want := nacre.Event{
		Kind: "sandbox.start", Sandbox: "s1", Plan: "sha256:ab", Subject: `<a href="x">&é漢🦪`,
		Caller: nacre.Caller{UID: 7, PID: 8, Name: "cli"}, Decision: nacre.Allow, Rule: "files.2",
		Reason: "the owner said so", Detail: map[string]string{"a": "1", "b": `"2"`},
	}
	l := openTest(t, dir)
	before := time.Now()
	if err := l.Record(context.Background(), want); err != nil {
		t.Fatal(err)
	}
	record(t, l, "next")
	got, rep := all(t, dir)
	if fmt.Sprint(got[0].Event) != fmt.Sprint(want) {
		t.Errorf("got %+v\nwant %+v", got[0].Event, want)
	}
	if got[0].Seq != 1 || got[0].Prev != NoHash || got[1].Seq != 2 || got[1].Prev != got[0].Hash {
		t.Errorf("not a chain: %+v", got)
	}
	if d := got[0].Time.Sub(before); d < 0 || d > time.Minute || got[0].Time.Location() != time.UTC {
		t.Errorf("time %v, recorded about %v", got[0].Time, before)
	}
	if rep.Records != 2 {
		t.Errorf("%+v", rep)
	}
	for _, p := range []struct {
		path string
		mode os.FileMode
	}{{dir, 0o700}, {path(dir), 0o600}} {
		if st, err := os.Stat(p.path); err != nil || st.Mode().Perm() != p.mode {
			t.Errorf("%s: mode %v, want %v (%v)", p.path, st.Mode(), p.mode, err)
		}
	}
}

func TestReopenContinues(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		l := openTest(t, dir)
		record(t, l, fmt.Sprint(i))
		l.Close()
	}
	if records, _ := all(t, dir); fmt.Sprint(subjects(records)) != "[0 1 2]" {
		t.Error(subjects(records))
	}
}

// A hostile name may hold a whole forged line, terminal sequences, a text that
// turns direction, or what looks like this package's own escapes.
func TestHostileText(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain ‘é’ 漢", "plain ‘é’ 漢"},
		{"a\n{\"v\":1}\r", `a\x0a{"v":1}\x0d`},
		{"\x1b[2J\x00\x7f", `\x1b[2J\x00\x7f`},
		{"\u0085\u202e\u2028\u200b\ufeff", `\u{85}\u{202e}\u{2028}\u{200b}\u{feff}`},
		{"\xff\xc3(\xed\xa0\x80", `\xff\xc3(\xed\xa0\x80`},
		{"\ufffd", "\ufffd"},
		{`\x1b \cut{9}`, `\\x1b \\cut{9}`},
	}
	dir := t.TempDir()
	l := openTest(t, dir)
	for _, test := range tests {
		e := event(test.in)
		e.Kind = "k" + test.in
		e.Detail = map[string]string{test.in: test.in}
		if err := l.Record(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	records, _ := all(t, dir)
	if len(records) != len(tests) {
		t.Fatalf("%d records of %d events", len(records), len(tests))
	}
	for i, test := range tests {
		r := records[i]
		if r.Subject != test.want || r.Kind != "k"+test.want || r.Detail[test.want] != test.want {
			t.Errorf("%q: got %+v, want %q", test.in, r.Event, test.want)
		}
	}
}

func TestLongFieldsAreCutVisibly(t *testing.T) {
	many := map[string]string{}
	for i := range 200 {
		many[fmt.Sprintf("%04d%s", i, strings.Repeat("\u0085\\\"", 1000))] = strings.Repeat("\x01", 20_000)
	}
	dir := t.TempDir()
	l := openTest(t, dir)
	for _, e := range []nacre.Event{
		event(strings.Repeat("x", 16<<10)),
		event(strings.Repeat("x", 16<<10+1)),
		{Kind: strings.Repeat("\x01", 1<<17), Sandbox: strings.Repeat("\x01", 1<<17), Plan: strings.Repeat(`"`, 1<<17),
			Subject: strings.Repeat("\\", 1<<17), Rule: strings.Repeat("\xff", 1<<17), Reason: strings.Repeat("é", 1<<17),
			Caller: nacre.Caller{Name: strings.Repeat("\x01", 1<<17)}, Detail: many},
	} {
		if err := l.Record(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	records, _ := all(t, dir)
	if s := records[0].Subject; s != strings.Repeat("x", 16<<10) {
		t.Errorf("a text of 16 KiB was cut to %d bytes", len(s))
	}
	if s := records[1].Subject; !strings.HasPrefix(s, "xxx") || !strings.Contains(s, `\cut{16385 bytes, sha256:`) {
		t.Errorf("cut without a mark: …%s", s[len(s)-100:])
	}
	huge := records[2]
	if len(huge.Detail) != maxDetails+1 || huge.Detail[`\cut`] != "136 more" {
		t.Errorf("%d details, %q", len(huge.Detail), huge.Detail[`\cut`])
	}
	if !strings.Contains(huge.Kind, `\cut{131072 bytes`) || !strings.HasPrefix(huge.Kind, `\x01\x01`) {
		t.Errorf("kind %q", huge.Kind)
	}
	for line := range bytes.Lines(content(t, dir)) {
		if len(line) > MaxRecord {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestClockGoingBack(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	for i, d := range []time.Duration{0, -time.Hour, time.Second} {
		l.now = func() time.Time { return start.Add(d) }
		record(t, l, fmt.Sprint(i))
	}
	records, report := all(t, dir)
	if !records[1].Time.Equal(start.Add(-time.Hour)) {
		t.Errorf("%+v: %+v", report, records[1])
	}
}

func TestRefusedEvents(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	for _, kind := range []string{"", KindCrash, "audit.x"} {
		if err := l.Record(context.Background(), nacre.Event{Kind: kind}); fault.KindOf(err) != fault.Internal || err == nil {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	l.Close()
	for name, l := range map[string]*Log{"nil": nil, "zero": {}, "closed": l} {
		if err := l.Record(context.Background(), event("x")); err == nil {
			t.Errorf("%s log took a record", name)
		}
	}
	if b := content(t, dir); len(b) > 0 {
		t.Errorf("recorded %q", b)
	}
}

func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	l, other := openTest(t, dir), openTest(t, dir)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				if err := []*Log{l, other}[i%2].Record(context.Background(), event(fmt.Sprint(i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, report := all(t, dir); report.Records != 80 {
		t.Errorf("%+v", report)
	}
}

func TestWaitForLockEnds(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	f, err := os.Open(path(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = l.Record(ctx, event("x"))
	if !errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	record(t, l, "y")
}

// What vanishes under a running writer is found even at a record's boundary.
func TestLossWhileOpen(t *testing.T) {
	tests := map[string]func(t *testing.T, dir string){
		"removed":   func(t *testing.T, dir string) { os.Remove(path(dir)) },
		"emptied":   func(t *testing.T, dir string) { os.Truncate(path(dir), 0) },
		"shortened": func(t *testing.T, dir string) { b := content(t, dir); os.WriteFile(path(dir), firstLines(b, 2), 0o600) },
		"replaced": func(t *testing.T, dir string) {
			other := t.TempDir()
			record(t, openTest(t, other), "x", "y", "z")
			os.Rename(path(other), path(dir))
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := openTest(t, dir)
			record(t, l, "a", "b", "c")
			damage(t, dir)
			if err := l.Record(context.Background(), event("d")); fault.KindOf(err) != fault.Tampered || fault.HintOf(err) == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func firstLines(b []byte, n int) []byte {
	return bytes.Join(bytes.SplitAfter(b, []byte("\n"))[:n], nil)
}

// A log renamed away and begun anew, as a rotation does, loses no record.
func TestRotatedWhileWaiting(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	f, err := os.Open(path(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(dir)+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- l.Record(context.Background(), event("x")) }()
	time.Sleep(5 * time.Millisecond) // likely, not surely, waiting by now: both orders must do
	if err := unix.Renameat2(unix.AT_FDCWD, path(dir), unix.AT_FDCWD, path(dir)+".new", unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
	if err := check(l.dir, f, os.Getuid()); err != unix.EAGAIN {
		t.Errorf("the file renamed away passes for the record: %v", err)
	}
	f.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if records, _ := all(t, dir); len(records) != 1 {
		t.Errorf("%d records in the new file", len(records))
	}
}
