package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
	"nacre/fault"
)

func testKey(t testing.TB, dir string) *Key {
	t.Helper()
	k, err := MakeKey(dir+".key", os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signer(t testing.TB, dir string) func() (*Key, error) {
	k := testKey(t, dir)
	return func() (*Key, error) { return k, nil }
}

func rotator(t testing.TB, dir string) Rotator {
	t.Helper()
	return Rotator{Dir: dir, Owner: os.Getuid(), Signer: signer(t, dir)}
}

func rotate(t testing.TB, dir string) *Closed {
	t.Helper()
	c, err := rotator(t, dir).Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// three is a record of three files: 5 records, then 1 and 5, then 1 and 5.
func three(t testing.TB) (dir string, l *audit.Log) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "audit")
	l = openTest(t, dir)
	for i := range 3 {
		if i > 0 {
			if c := rotate(t, dir); c == nil {
				t.Fatal("not rotated")
			}
		}
		for j := range 5 {
			record(t, l, fmt.Sprint(i, j))
		}
	}
	return dir, l
}

// files are the record's own, in order.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	list, err := openParts(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer list.close()
	for _, p := range list {
		names = append(names, p.name)
	}
	return names
}

func copyRecord(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

// holds checks a record against a checkpoint kept elsewhere.
func holds(t testing.TB, dir string, key *Key, checkpoints ...[]byte) (Report, error) {
	t.Helper()
	a := Against{Keys: []note.Verifier{key}}
	for _, text := range checkpoints {
		c, err := OpenCheckpoint(text, key)
		if err != nil {
			t.Fatal(err)
		}
		a.Checkpoints = append(a.Checkpoints, c)
	}
	return Verify(dir, a)
}

func mustSign(t testing.TB, dir string) []byte {
	t.Helper()
	_, text, err := Sign(dir, signer(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openTest(t, dir)
	record(t, l, "a", "b")
	early := mustSign(t, dir)
	r := rotator(t, dir)
	r.Over = 1 << 20
	if c, err := r.Rotate(t.Context()); c != nil || err != nil || len(files(t, dir)) != 1 {
		t.Fatalf("a small file was closed: %v, %v", c, err)
	}
	before := content(t, dir)
	c := rotate(t, dir)
	if c == nil || c.Name != "audit-000000000001.jsonl" || c.Records != 2 || c.Checkpoint != string(early) {
		t.Fatalf("%+v", c)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, c.Name)); !bytes.Equal(b, before) {
		t.Error("the old file was touched")
	}
	if c := rotate(t, dir); c != nil {
		t.Errorf("a file without a record of its own was closed: %+v", c)
	}
	record(t, l, "c") // a log that was open all the time
	rotate(t, dir)
	record(t, openTest(t, dir), "d")
	records, report := all(t, dir)
	want := "[a b audit-000000000001.jsonl c audit-000000000003.jsonl d]"
	if fmt.Sprint(subjects(records)) != want || report.Seq != 6 {
		t.Errorf("%q, %+v", subjects(records), report)
	}
	if got, err := holds(t, dir, testKey(t, dir), early, mustSign(t, dir)); err != nil || got.Signed != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A reading goes on over a rotation, at whatever moment that comes.
func TestContinueOverRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openTest(t, dir)
	var got []Record
	var report Report
	for i := range 40 {
		record(t, l, fmt.Sprint(i))
		if i%3 == 0 {
			rotate(t, dir)
		}
		if i%7 == 0 {
			var err error
			report, err = Continue(t.Context(), dir, report, func(r Record) error { got = append(got, r); return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	report, err := Continue(t.Context(), dir, report, func(r Record) error { got = append(got, r); return nil })
	straight, err2 := Verify(dir, Against{})
	if report.at = straight.at; err != nil || err2 != nil || report != straight || len(got) != int(report.Seq) {
		t.Errorf("%d records, %+v in pieces, %+v at once, %v, %v", len(got), report, straight, err, err2)
	}
}

// TestEveryTamperAtEveryRecord: whatever is done to whichever record of
// whichever file is found, without a key and without a checkpoint; but for what
// only a checkpoint kept elsewhere can show, which it does.
func TestEveryTamperAtEveryRecord(t *testing.T) {
	dir, _ := three(t)
	key, checkpoint := testKey(t, dir), mustSign(t, dir)
	names := files(t, dir)
	content := map[string][][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(b, []byte("\n"))
		content[n] = lines[:len(lines)-1]
	}
	kinds := map[string]func(l [][]byte, i int) [][]byte{
		"change": func(l [][]byte, i int) [][]byte {
			l[i] = bytes.Replace(l[i], []byte(`"uid":`), []byte(`"uid":1`), 1)
			return l
		},
		"change with hash": func(l [][]byte, i int) [][]byte {
			l[i] = rehash(swap(l[i], `"uid":`, `"uid":1`))
			return l
		},
		"flip":    func(l [][]byte, i int) [][]byte { l[i][len(l[i])/2] ^= 1; return l },
		"delete":  func(l [][]byte, i int) [][]byte { return slices.Delete(l, i, i+1) },
		"double":  func(l [][]byte, i int) [][]byte { return slices.Insert(l, i, l[i]) },
		"insert":  func(l [][]byte, i int) [][]byte { return slices.Insert(l, i, forged(l, i)) },
		"reorder": func(l [][]byte, i int) [][]byte { j := (i + 1) % len(l); l[i], l[j] = l[j], l[i]; return l },
		"cut":     func(l [][]byte, i int) [][]byte { return l[:i] },
		"torn":    func(l [][]byte, i int) [][]byte { l[i] = l[i][:len(l[i])/2]; return l[:i+1] },
	}
	work := copyRecord(t, dir)
	for kind, do := range kinds {
		for f, name := range names {
			for i := range content[name] {
				lines := do(cloneAll(content[name]), i)
				os.WriteFile(filepath.Join(work, name), bytes.Join(lines, nil), 0o600)
				_, alone := Verify(work, Against{})
				_, held := holds(t, work, key, checkpoint)
				newest := f == len(names)-1
				// The end of the newest file may be missing, torn or written anew: only
				// a checkpoint tells. Its first record must be there.
				last := newest && i == len(content[name])-1
				hidden := newest && (kind == "cut" || kind == "torn") && i > 0 || last && (kind == "change with hash" || kind == "delete")
				if fault.KindOf(held) != fault.Tampered || held == nil {
					t.Errorf("%s at %s:%d is not found against a checkpoint: %v", kind, name, i, held)
				}
				if found := alone != nil && fault.KindOf(alone) == fault.Tampered; found == hidden {
					t.Errorf("%s at %s:%d: found without a checkpoint: %v (%v)", kind, name, i, found, alone)
				}
			}
			os.WriteFile(filepath.Join(work, name), bytes.Join(content[name], nil), 0o600)
		}
	}
	if _, err := holds(t, work, key, checkpoint); err != nil {
		t.Errorf("put right again: %v", err)
	}
}

func cloneAll(l [][]byte) [][]byte {
	c := make([][]byte, len(l))
	for i := range l {
		c[i] = bytes.Clone(l[i])
	}
	return c
}

// forged is a good record in the place of line i.
func forged(l [][]byte, i int) []byte {
	r, _, _ := decode(l[i])
	_, line, _ := audit.Head{Seq: r.Seq - 1, Hash: r.Prev}.Next(event("forged"), time.Now())
	return line
}

func TestTamperWithFiles(t *testing.T) {
	in := func(dir, name string) string { return filepath.Join(dir, name) }
	one, two := "audit-000000000001.jsonl", "audit-000000000006.jsonl"
	tests := map[string]func(dir string){
		"first file removed":  func(d string) { os.Remove(in(d, one)) },
		"second file removed": func(d string) { os.Remove(in(d, two)) },
		"both removed":        func(d string) { os.Remove(in(d, one)); os.Remove(in(d, two)) },
		"newest removed":      func(d string) { os.Remove(current(d)) },
		"newest emptied":      func(d string) { os.Truncate(current(d), 0) },
		"newest removed, begun anew": func(d string) {
			os.Remove(current(d))
			l, _ := audit.Open(d, os.Getuid())
			l.Record(context.Background(), event("x"))
			l.Close()
		},
		"files swapped": func(d string) {
			os.Rename(in(d, one), in(d, "x"))
			os.Rename(in(d, two), in(d, one))
			os.Rename(in(d, "x"), in(d, two))
		},
		"newest swapped with an older": func(d string) {
			os.Rename(in(d, two), in(d, "x"))
			os.Rename(current(d), in(d, two))
			os.Rename(in(d, "x"), current(d))
		},
		"renamed": func(d string) { os.Rename(in(d, two), in(d, "audit-000000000007.jsonl")) },
		"joined": func(d string) {
			a, _ := os.ReadFile(in(d, one))
			b, _ := os.ReadFile(in(d, two))
			os.WriteFile(in(d, one), append(a, b...), 0o600)
			os.Remove(in(d, two))
		},
		"last of the first moved to the second": func(d string) {
			a, _ := os.ReadFile(in(d, one))
			b, _ := os.ReadFile(in(d, two))
			cut := bytes.LastIndexByte(a[:len(a)-1], '\n') + 1
			os.WriteFile(in(d, one), a[:cut], 0o600)
			os.WriteFile(in(d, two), append(bytes.Clone(a[cut:]), b...), 0o600)
		},
		"split into two": func(d string) {
			a, _ := os.ReadFile(in(d, one))
			os.WriteFile(in(d, one), firstLines(a, 3), 0o600)
			os.WriteFile(in(d, "audit-000000000004.jsonl"), a[len(firstLines(a, 3)):], 0o600)
		},
		"split, and the first part removed as if by retention": func(d string) {
			a, _ := os.ReadFile(in(d, one))
			os.WriteFile(in(d, "audit-000000000004.jsonl"), a[len(firstLines(a, 3)):], 0o600)
			os.Remove(in(d, one))
			os.WriteFile(in(d, "audit-000000000001.hashes"), make([]byte, 3*32), 0o600)
			l, _ := audit.Open(d, os.Getuid())
			l.Record(context.Background(), nacre.Event{Kind: kindRemoved, Detail: map[string]string{"last": "3"}})
			l.Close()
		},
		"torn end added to a closed file": func(d string) {
			a, _ := os.ReadFile(in(d, one))
			os.WriteFile(in(d, one), append(a, `{"v":1`...), 0o600)
		},
		"hashes in the place of records": func(d string) {
			os.Rename(in(d, one), in(d, "audit-000000000001.hashes"))
		},
		"foreign file added":   func(d string) { os.WriteFile(in(d, "audit-000000000003.jsonl"), nil, 0o600) },
		"foreign hashes added": func(d string) { os.WriteFile(in(d, "audit-000000000003.hashes"), make([]byte, 32), 0o600) },
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			dir, _ := three(t)
			do(dir)
			if report, err := Verify(dir, Against{}); err == nil || fault.KindOf(err) != fault.Tampered {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// A link, a pipe or a folder in the place of a closed file is refused, and
// nothing is waited for.
func TestStrangeFiles(t *testing.T) {
	for name, do := range map[string]func(string) error{
		"link":   func(p string) error { return os.Symlink(audit.FileName, p) },
		"fifo":   func(p string) error { return mkfifo(p) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := three(t)
			p := filepath.Join(dir, "audit-000000000001.jsonl")
			if err := errors.Join(os.Remove(p), do(p)); err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(dir, Against{}); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// Without a checkpoint kept elsewhere nobody can know how far the record went,
// or that all of it was written anew; with one, both are found.
func TestCheckpointElsewhere(t *testing.T) {
	rewrite := func(keep int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { // with all that the owner has: the program, and the key
			records, _ := all(t, dir)
			h := audit.Head{Hash: audit.NoHash}
			var b []byte
			for i, r := range records {
				if i >= keep {
					r.Subject = "anew"
				}
				var line []byte
				h, line, _ = h.Next(r.Event, r.Time)
				b = append(b, line...)
			}
			os.WriteFile(current(dir), b, 0o600)
		}
	}
	for name, do := range map[string]func(t *testing.T, dir string){
		"cut at a boundary": func(t *testing.T, dir string) { os.WriteFile(current(dir), firstLines(content(t, dir), 3), 0o600) },
		"cut, and gone on with": func(t *testing.T, dir string) {
			os.WriteFile(current(dir), firstLines(content(t, dir), 3), 0o600)
			record(t, openTest(t, dir), "x", "y", "z")
		},
		"all written anew": rewrite(0),
		"end written anew": rewrite(4),
		"another's record": func(t *testing.T, dir string) { other, _ := sample(t); os.Rename(current(other), current(dir)) },
		"begun anew, longer": func(t *testing.T, dir string) {
			os.Remove(current(dir))
			record(t, openTest(t, dir), strings.Split(strings.Repeat("x", 9), "")...)
		},
		"emptied": func(t *testing.T, dir string) { os.Truncate(current(dir), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := sample(t)
			key, checkpoint := testKey(t, dir), mustSign(t, dir)
			if report, err := holds(t, dir, key, checkpoint); err != nil || report.Signed != 5 {
				t.Fatalf("%+v, %v", report, err)
			}
			do(t, dir)
			if _, err := Verify(dir, Against{}); err != nil {
				t.Errorf("found without a checkpoint, so this shows nothing: %v", err)
			}
			if _, err := holds(t, dir, key, checkpoint); err == nil || fault.KindOf(err) != fault.Tampered {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A cut at the boundary of two files is a cut as any other.
func TestCheckpointElsewhereOverFiles(t *testing.T) {
	dir, _ := three(t)
	key, checkpoint := testKey(t, dir), mustSign(t, dir)
	os.Rename(filepath.Join(dir, "audit-000000000006.jsonl"), current(dir))
	if _, report := all(t, dir); report.Seq != 11 {
		t.Errorf("%d records", report.Seq)
	}
	if _, err := holds(t, dir, key, checkpoint); err == nil || fault.KindOf(err) != fault.Tampered {
		t.Errorf("got %v", err)
	}
}

func firstLines(b []byte, n int) []byte {
	return bytes.Join(bytes.SplitAfter(b, []byte("\n"))[:n], nil)
}

// What was signed once is held against what is there at any later time.
func TestEveryOldCheckpointHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openTest(t, dir)
	var old [][]byte
	for i := range 30 {
		record(t, l, fmt.Sprint(i))
		if i%8 == 7 {
			rotate(t, dir)
		}
		old = append(old, mustSign(t, dir))
	}
	if report, err := holds(t, dir, testKey(t, dir), old...); err != nil || report.Signed != 33 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := remover(t, dir, l).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report, err := holds(t, dir, testKey(t, dir), old...); err != nil || report.Removed != 26 {
		t.Errorf("after retention: %+v, %v", report, err)
	}
}

func TestRotateRefuses(t *testing.T) {
	dir, l := three(t)
	b := content(t, dir)
	torn := append(bytes.Clone(b), `{"v":1,"se`...)
	bad := bytes.Clone(b)
	bad[len(bad)/2] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		kind fault.Kind
	}{"torn": {torn, fault.Conflict}, "tampered": {bad, fault.Tampered}} {
		os.WriteFile(current(dir), c.b, 0o600)
		if _, err := rotator(t, dir).Rotate(t.Context()); err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
		if len(files(t, dir)) != 3 || !bytes.Equal(content(t, dir), c.b) {
			t.Errorf("%s: something was changed", name)
		}
	}
	os.WriteFile(current(dir), b, 0o600)
	r := rotator(t, dir)
	r.Signer = func() (*Key, error) { return nil, fault.New(fault.Invalid, "no key") }
	if _, err := r.Rotate(t.Context()); err == nil || len(files(t, dir)) != 3 {
		t.Errorf("without a key: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "audit-000000000012.jsonl"), []byte("in the way"), 0o600)
	if _, err := rotator(t, dir).Rotate(t.Context()); fault.KindOf(err) != fault.Tampered {
		t.Errorf("over another file: %v", err)
	}
	os.Remove(filepath.Join(dir, "audit-000000000012.jsonl"))
	record(t, l, "on it goes")
	all(t, dir)
}

// Nobody can add to a new file before its name is sure to last.
func TestNewFileIsLocked(t *testing.T) {
	dir, _ := sample(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = place(root, dir, audit.FileName, []byte("x"), func() error {
		f, err := root.Open(audit.FileName + ".new")
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != unix.EWOULDBLOCK {
			t.Errorf("somebody else got the lock: %v", err)
		}
		return nil
	})
	if err != nil || string(content(t, dir)) != "x" {
		t.Errorf("%q, %v", content(t, dir), err)
	}
}

// A clock that goes back changes nothing of the proof.
func TestClockGoesBackOverRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	openTest(t, dir)
	h := audit.Head{Hash: audit.NoHash}
	var b []byte
	for i := range 3 {
		var line []byte
		h, line, _ = h.Next(event(fmt.Sprint(i)), time.Now().Add(time.Duration(48-i)*time.Hour))
		b = append(b, line...)
	}
	os.WriteFile(current(dir), b, 0o600)
	rotate(t, dir)
	record(t, openTest(t, dir), "now")
	var notes Notes
	var said []string
	if _, err := Read(dir, func(r Record) error { said = append(said, notes.Of(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(said[3], "the clock went back by ") || said[4] != "" {
		t.Errorf("%q", said)
	}
}

func remover(t testing.TB, dir string, l nacre.Recorder) Remover {
	t.Helper()
	return Remover{Dir: dir, Owner: os.Getuid(), Log: l}
}
