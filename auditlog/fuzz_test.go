package auditlog

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
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
