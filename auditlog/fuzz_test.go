package auditlog

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nacre/audit"
	"nacre/fault"
)

// FuzzDecode: what decode accepts is exactly what encoding it again gives, and
// is printable. The hash is put right, so that the fuzzer gets past it.
func FuzzDecode(f *testing.F) {
	_, line, _ := audit.Head{Hash: audit.NoHash}.Next(event("seed"), time.Unix(1, 5))
	f.Add(line[:len(line)-len(ending(audit.NoHash))])
	f.Fuzz(func(t *testing.T, body []byte) {
		line := append(bytes.Clone(body), ending(fmt.Sprintf("%x", sha256.Sum256(body)))...)
		r, _, err := decode(line)
		if err != nil {
			return
		}
		r.Hash = ""
		again, err := r.Body()
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("accepted %q, which is written %q (%v)", body, again, err)
		}
		for _, c := range string(line[:len(line)-1]) {
			if !audit.Plain(c) {
				t.Errorf("accepted %q", line)
			}
		}
	})
}

// FuzzLog: a file of any bytes is read to its end without a panic; what a
// writer agrees to go on from stays as it is, and gets one good record more.
func FuzzLog(f *testing.F) {
	_, lines := sample(f)
	whole := bytes.Join(lines, nil)
	f.Add(whole)
	f.Add(whole[:len(whole)-30])
	f.Add(append(bytes.Clone(whole), "x"+mark...))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(current(dir), b, 0o600); err != nil {
			t.Fatal(err)
		}
		before, bad := Verify(dir, Against{})
		if bad != nil && fault.KindOf(bad) != fault.Tampered {
			t.Fatal(bad)
		}
		l := openTest(t, dir)
		defer l.Close()
		err := l.Record(t.Context(), event("x"))
		switch after, worse := Verify(dir, Against{}); {
		case err != nil && fault.KindOf(err) != fault.Tampered:
			t.Fatal(err)
		case err != nil && bad == nil:
			t.Fatalf("verifies, but refused: %v", err)
		case err == nil && bad == nil && (worse != nil || after.Records <= before.Records):
			t.Fatalf("was good, then %+v, %v", after, worse)
		case !bytes.HasPrefix(content(t, dir), b):
			t.Fatal("bytes were lost")
		}
	})
}

// FuzzFiles: a record of several files with anything in the first, in its hashes
// and in the newest is read to its end, and is good only where it is as it was.
func FuzzFiles(f *testing.F) {
	dir, _ := three(f)
	one, _ := os.ReadFile(filepath.Join(dir, "audit-000000000001.jsonl"))
	two, _ := os.ReadFile(filepath.Join(dir, "audit-000000000006.jsonl"))
	last := content(f, dir)
	f.Add(one, two, last, []byte(nil))
	f.Add([]byte(nil), two, last, make([]byte, 160))
	f.Add(one[:50], two[:60], last[:70], []byte("x"))
	f.Fuzz(func(t *testing.T, a, b, c, hashes []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"audit-000000000001.jsonl": a, "audit-000000000006.jsonl": b, audit.FileName: c, "audit-000000000001.hashes": hashes} {
			if len(content) > 0 {
				os.WriteFile(filepath.Join(dir, name), content, 0o600)
			}
		}
		n := 0
		report, err := Read(dir, func(Record) error { n++; return nil })
		if err != nil && fault.KindOf(err) != fault.Tampered && fault.KindOf(err) != fault.NotFound {
			t.Fatal(err)
		}
		if err == nil && (report.Problems > 0 || uint64(n) != report.Records || report.Seq != report.Records+report.Removed) {
			t.Fatalf("%+v, %d records", report, n)
		}
	})
}

// FuzzCheckpoint: what is accepted is written one way only.
func FuzzCheckpoint(f *testing.F) {
	f.Add("nacre-audit-x\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("n\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("n\n05\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n")
	key := testKey(f, filepath.Join(f.TempDir(), "audit"))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCheckpoint(text)
		if err == nil && c.text() != text {
			t.Errorf("accepted %q, which is written %q", text, c.text())
		}
		if _, err := OpenCheckpoint([]byte(text), key); err == nil {
			t.Errorf("%q passes for signed", text)
		}
		_, _ = claim(text, key)
	})
}

// FuzzProof: no bytes prove anything that was not signed.
func FuzzProof(f *testing.F) {
	dir, _ := sample(f)
	key := testKey(f, dir)
	good, err := Prove(dir, 3, signer(f, dir))
	if err != nil {
		f.Fatal(err)
	}
	want, _, err := CheckProof(good, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(proofHeader + "\nextra \nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, _, err := CheckProof(text, key); err == nil && r.Hash != want.Hash {
			t.Errorf("%q proves %+v", text, r)
		}
	})
}

// FuzzKey: a file of any bytes is a key or an error.
func FuzzKey(f *testing.F) {
	k := testKey(f, filepath.Join(f.TempDir(), "audit"))
	f.Add("PRIVATE+KEY+x+c1b2a3d4+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh")
	f.Add(k.String())
	f.Add("PRIVATE+KEY+++")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := parseKey(text); err == nil {
			if v, err := ParseVerifier(k.String()); err != nil || v.KeyHash() != k.KeyHash() {
				t.Errorf("%q: %v, %v", text, v, err)
			}
		}
	})
}
