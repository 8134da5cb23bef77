package auditlog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"nacre/audit"
	"nacre/fault"
)

// sample is a log of five records and its lines.
func sample(t testing.TB) (dir string, lines [][]byte) {
	t.Helper()
	dir = t.TempDir()
	record(t, openTest(t, dir), "a", "b", "c", "d", "e")
	lines = bytes.SplitAfter(content(t, dir), []byte("\n"))
	return dir, lines[:5]
}

// ending closes a line with its hash.
func ending(hash string) string { return `,"hash":"` + hash + "\"}\n" }

// rehash gives a changed line the hash of its content.
func rehash(line string) []byte {
	body := line[:len(line)-len(ending(audit.NoHash))]
	return []byte(body + ending(fmt.Sprintf("%x", sha256.Sum256([]byte(body)))))
}

func swap(line []byte, old, new string) string {
	if !bytes.Contains(line, []byte(old)) {
		panic("no " + old)
	}
	return strings.Replace(string(line), old, new, 1)
}

func TestTamperingIsFound(t *testing.T) {
	edit := func(i int, f func(line []byte) []byte) func([][]byte) [][]byte {
		return func(l [][]byte) [][]byte { l[i] = f(l[i]); return l }
	}
	rewrite := func(i int, old, new string) func([][]byte) [][]byte {
		return edit(i, func(b []byte) []byte { return rehash(swap(b, old, new)) })
	}
	tests := []struct {
		name string
		seq  uint64 // the first bad one
		do   func([][]byte) [][]byte
	}{
		{"byte flipped", 3, edit(2, func(b []byte) []byte { b[20] ^= 1; return b })},
		{"byte flipped in the last", 5, edit(4, func(b []byte) []byte { b[20] ^= 1; return b })},
		{"hash changed", 3, edit(2, func(b []byte) []byte { b[len(b)-10] ^= 1; return b })},
		{"first line dropped", 1, func(l [][]byte) [][]byte { return l[1:] }},
		{"line dropped", 3, func(l [][]byte) [][]byte { return append(l[:2], l[3:]...) }},
		{"lines swapped", 2, func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }},
		{"last lines swapped", 4, func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l }},
		{"line doubled", 3, func(l [][]byte) [][]byte { return append(l[:2], append([][]byte{l[1]}, l[2:]...)...) }},
		{"last line doubled", 6, func(l [][]byte) [][]byte { return append(l, l[4]) }},
		{"empty line added", 3, edit(2, func(b []byte) []byte { return append([]byte("\n"), b...) })},
		{"text added", 6, func(l [][]byte) [][]byte { return append(l, []byte("hello\n")) }},
		// A forged third record can fit the second; then the true third does not.
		{"own record added", 4, edit(1, func(b []byte) []byte {
			r, _, _ := decode(b)
			_, more, _ := audit.Head{Seq: r.Seq, Hash: r.Hash}.Next(event("forged"), time.Now())
			return append(b, more...)
		})},
		{"edited, own hash made anew", 4, rewrite(2, `"subject":"c"`, `"subject":"x"`)},
		{"sequence edited", 3, rewrite(2, `"seq":3`, `"seq":4`)},
		{"previous hash edited", 3, rewrite(2, `"prev":"`, `"prev":"0`)},
		{"duplicate key", 3, rewrite(2, `"subject":"c"`, `"subject":"x","subject":"c"`)},
		{"unknown key", 3, rewrite(2, `"subject":"c"`, `"subject":"c","extra":1`)},
		{"case-folded key", 3, rewrite(2, `"subject":"c"`, `"Subject":"c"`)},
		{"case-folded second key", 3, rewrite(2, `"subject":"c"`, `"subject":"c","Subject":"x"`)},
		{"key of this package's own", 3, rewrite(2, `"subject":"c"`, `"subject":"c","Problem":""`)},
		{"keys reordered", 3, rewrite(2, `"v":1,"seq":3`, `"seq":3,"v":1`)},
		{"empty field added", 3, rewrite(2, `"subject":"c"`, `"subject":"c","rule":""`)},
		{"null", 3, rewrite(2, `"subject":"c"`, `"subject":null`)},
		{"space", 3, rewrite(2, `{"v":1`, `{ "v":1`)},
		{"other escape", 3, rewrite(2, `"subject":"c"`, `"subject":"\u0063"`)},
		{"escaped control", 3, rewrite(2, `"subject":"c"`, `"subject":"\u001b"`)},
		{"escaped newline", 3, rewrite(2, `"subject":"c"`, `"subject":"\n"`)},
		{"raw bytes", 3, rewrite(2, `"subject":"c"`, "\"subject\":\"\xff\"")},
		{"raw direction", 3, rewrite(2, `"subject":"c"`, "\"subject\":\"\u202e\"")},
		{"hidden in prev", 3, rewrite(2, `"prev":"`, `"prev":"\u001b`)},
		{"number as text", 3, rewrite(2, `"seq":3`, `"seq":"3"`)},
		{"number otherwise", 3, rewrite(2, `"seq":3`, `"seq":3.0`)},
		{"negative", 3, rewrite(2, `"seq":3`, `"seq":-3`)},
		{"version", 3, rewrite(2, `"v":1`, `"v":2`)},
		{"time zone", 3, rewrite(2, `Z","prev"`, `+00:00","prev"`)},
		{"decision", 3, rewrite(2, `"decision":"deny"`, `"decision":"permit"`)},
		{"array", 3, rewrite(2, `{"v":1`, `[{"v":1`)},
		{"carriage return", 3, edit(2, func(b []byte) []byte { return append(b[:len(b)-1], "\r\n"...) })},
		{"cut in the middle of the file", 3, edit(2, func(b []byte) []byte { return b[:50] })},
		{"cut, and a newline", 3, edit(2, func(b []byte) []byte { return append(b[:50:50], '\n') })},
		{"cut and marked as torn", 3, edit(2, func(b []byte) []byte { return append(b[:50:50], mark...) })},
		{"zeros", 3, edit(2, func(b []byte) []byte { return append(make([]byte, 50), '\n') })},
		{"too long", 3, edit(2, func(b []byte) []byte { return append(bytes.Repeat([]byte("x"), 3*audit.MaxLine), b...) })},
		{"too long at the end", 6, func(l [][]byte) [][]byte { return append(l, bytes.Repeat([]byte("x"), audit.MaxLine+1)) }},
		{"crash out of nothing", 3, rewrite(2, `"test.event"`, `"audit.crash"`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, lines := sample(t)
			if err := os.WriteFile(current(dir), bytes.Join(test.do(lines), nil), 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := Verify(dir, Against{})
			if fault.KindOf(err) != fault.Tampered || fault.HintOf(err) == "" || report.BadSeq != test.seq || report.Bad == "" {
				t.Errorf("want tampered at %d, got %+v, %v", test.seq, report, err)
			}
		})
	}
}

// Damage in one place hides nothing of the rest.
func TestReadGoesOnAfterDamage(t *testing.T) {
	dir, lines := sample(t)
	lines[1][30] ^= 1
	os.WriteFile(current(dir), bytes.Join(lines, nil), 0o600)
	var got []string
	report, err := Read(dir, func(r Record) error {
		got = append(got, r.Subject+"|"+r.Problem)
		return nil
	})
	want := "a|,|changed: its hash is not that of its content,c|,d|,e|"
	if strings.Join(got, ",") != want || fault.KindOf(err) != fault.Tampered || report.Problems != 1 || report.Records != 4 {
		t.Errorf("got %q, %+v, %v", got, report, err)
	}
	stop := errors.New("stop")
	if _, err := Read(dir, func(Record) error { return stop }); err != stop {
		t.Errorf("an error of the callback became %v", err)
	}
}

// A crash may cut the last record anywhere; the record before stays the head,
// nothing is lost, and the next writer seals what is there.
func TestTornAtEveryByte(t *testing.T) {
	dir, lines := sample(t)
	whole := bytes.Join(lines, nil)
	start := len(whole) - len(lines[4])
	for cut := start + 1; cut < len(whole); cut += 7 {
		torn := append(whole[:cut:cut], make([]byte, cut%3)...) // and some zeros
		if err := os.WriteFile(current(dir), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, report := all(t, dir); !report.Torn || report.Seq != 4 {
			t.Fatalf("cut at %d: %+v", cut, report)
		}
		record(t, openTest(t, dir), "after")
		records, report := all(t, dir)
		if fmt.Sprint(subjects(records)) != "[a b c d  after]" || report.Torn || crashes(records) != 1 {
			t.Fatalf("cut at %d: %q %+v", cut, subjects(records), report)
		}
		crash := records[4]
		if !crash.Crash() || crash.Seq != 5 || !bytes.HasPrefix(content(t, dir), torn) {
			t.Fatalf("cut at %d: %+v", cut, crash)
		}
	}
}

// Of a long record the last block may reach the disk and an earlier one not:
// it ends like a record, and still is a crash.
func TestTornWithZerosInside(t *testing.T) {
	dir, lines := sample(t)
	torn := append(bytes.Join(lines[:4], nil), make([]byte, 4096)...)
	torn = append(torn, lines[4][100:]...)
	os.WriteFile(current(dir), torn, 0o600)
	if _, report := all(t, dir); !report.Torn || report.Seq != 4 {
		t.Errorf("%+v", report)
	}
	record(t, openTest(t, dir), "after")
	if records, report := all(t, dir); report.Seq != 6 || report.Torn || crashes(records) != 1 {
		t.Errorf("%+v", report)
	}
}

// The sealer may crash as well, at any byte, and so may the next.
func TestTornSeal(t *testing.T) {
	for cut := 1; cut < 900; cut += 31 {
		dir, lines := sample(t)
		whole := bytes.Join(lines, nil)
		torn := append(whole, lines[4][:40]...)
		for range 3 {
			os.WriteFile(current(dir), torn, 0o600)
			record(t, openTest(t, dir), "lost")
			torn = content(t, dir)[:len(torn)+min(cut, len(content(t, dir))-len(torn)-1)]
		}
		os.WriteFile(current(dir), torn, 0o600)
		record(t, openTest(t, dir), "kept")
		records, report := all(t, dir)
		if records[len(records)-1].Subject != "kept" || crashes(records) < 1 || !bytes.HasPrefix(content(t, dir), torn) {
			t.Fatalf("cut at %d: %q, %+v", cut, subjects(records), report)
		}
	}
}

func TestTornFirstRecord(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(current(dir), []byte(`{"v":1,"seq`), 0o600)
	if report, err := Verify(dir, Against{}); err != nil || !report.Torn || report.Seq != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	record(t, openTest(t, dir), "a")
	if _, report := all(t, dir); report.Records != 2 {
		t.Errorf("%+v", report)
	}
}

// What a crash record tells of must be there as it says.
func TestSealedTornBytesAreCovered(t *testing.T) {
	for name, do := range map[string]func(string) string{
		"changed":  func(s string) string { return strings.Replace(s, "TORN", "torn", 1) },
		"removed":  func(s string) string { return strings.Replace(s, "TORN"+mark, "", 1) },
		"added to": func(s string) string { return strings.Replace(s, "TORN", "TORN"+mark, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, lines := sample(t)
			os.WriteFile(current(dir), append(bytes.Join(lines, nil), "TORN"...), 0o600)
			record(t, openTest(t, dir), "f")
			os.WriteFile(current(dir), []byte(do(string(content(t, dir)))), 0o600)
			if report, err := Verify(dir, Against{}); fault.KindOf(err) != fault.Tampered || report.BadSeq != 6 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// Without a signed checkpoint the chain cannot know how far it went: this is
// what the package's documentation admits.
func TestCutAtBoundaryIsNotSeen(t *testing.T) {
	dir, lines := sample(t)
	os.WriteFile(current(dir), bytes.Join(lines[:3], nil), 0o600)
	if _, report := all(t, dir); report.Seq != 3 || report.Torn {
		t.Errorf("%+v", report)
	}
}

// A reading can be gone on with at any time, also where a crash shows in between.
func TestContinue(t *testing.T) {
	dir, lines := sample(t)
	whole := bytes.Join(lines, nil)
	l := openTest(t, dir)
	var got []Record
	var report Report
	more := func() (err error) {
		report, err = Continue(t.Context(), dir, report, func(r Record) error { got = append(got, r); return nil })
		return err
	}
	for _, step := range []func(){
		func() { os.WriteFile(current(dir), append(whole[:len(whole):len(whole)], `{"v":1,"se`...), 0o600) },
		func() { record(t, l, "f") }, func() {}, func() { record(t, l, "g", "h") },
	} {
		if err := more(); err != nil {
			t.Fatal(err)
		}
		step()
	}
	if err := more(); err != nil || fmt.Sprint(subjects(got)) != "[a b c d e  f g h]" || crashes(got) != 1 {
		t.Fatalf("got %q, %v", subjects(got), err)
	}
	straight, err := Verify(dir, Against{})
	if report.at = straight.at; err != nil || report != straight {
		t.Errorf("%+v in pieces, %+v at once, %v", report, straight, err)
	}
	bad, _ := os.OpenFile(current(dir), os.O_WRONLY|os.O_APPEND, 0)
	bad.WriteString("hello\n")
	bad.Close()
	if err := more(); fault.KindOf(err) != fault.Tampered || report.BadSeq != 10 {
		t.Errorf("added text: %+v, %v", report, err)
	}
	if err := more(); err != nil {
		t.Errorf("told a second time: %v", err)
	}
	os.Truncate(current(dir), 10)
	if err := more(); fault.KindOf(err) != fault.Tampered {
		t.Errorf("cut short: %v", err)
	}
}

func TestNothingToRead(t *testing.T) {
	t.Run("nothing to read", func(t *testing.T) {
		if _, err := Verify(t.TempDir(), Against{}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("got %v", err)
		}
	})
	t.Run("fifo to read", func(t *testing.T) {
		dir := t.TempDir()
		if err := mkfifo(current(dir)); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(dir, Against{}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v", err)
		}
	})
}
