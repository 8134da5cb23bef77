package audit

import (
	"bytes"
	"os"
	"testing"
	"time"

	"nacre"
	"nacre/fault"
)

// FuzzDecode: what decode accepts is exactly what encoding it again gives, and
// is printable. The hash is put right, so that the fuzzer gets past it.
func FuzzDecode(f *testing.F) {
	_, line, _ := head{hash: noHash}.next(event("seed"), time.Unix(1, 5))
	f.Add(line[:len(line)-len(ending(noHash))])
	f.Fuzz(func(t *testing.T, body []byte) {
		line := append(bytes.Clone(body), ending(digest(body))...)
		r, err := decode(line)
		if err != nil {
			return
		}
		again, err := r.body()
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("accepted %q, which is written %q (%v)", body, again, err)
		}
		for _, c := range string(line[:len(line)-1]) {
			if !plain(c) {
				t.Errorf("accepted %q", line)
			}
		}
	})
}

// FuzzEvent: whatever an event holds, it becomes one line that decodes.
func FuzzEvent(f *testing.F) {
	f.Add("kind", "subject", "key", "value", 1)
	f.Add("\n", "\xff\\\"", "\u2028", "\x00", 40)
	f.Fuzz(func(t *testing.T, kind, subject, key, value string, n int) {
		e := nacre.Event{Kind: kind, Subject: subject, Reason: value, Detail: map[string]string{}}
		for i := range n % 100 {
			e.Detail[key+string(rune('a'+i))] = value
		}
		h, line, err := head{hash: noHash}.next(e, time.Unix(1, 0))
		if err != nil || len(line) > MaxRecord || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q, %v", line, err)
		}
		if r, err := decode(line); err != nil || r.Hash != h.hash || r.Subject != visible(subject, MaxRecord/4) && len(line) < 1000 {
			t.Fatalf("%q: %v", line, err)
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
		if err := os.WriteFile(path(dir), b, 0o600); err != nil {
			t.Fatal(err)
		}
		before, bad := Verify(dir)
		if bad != nil && fault.KindOf(bad) != fault.Tampered {
			t.Fatal(bad)
		}
		l := openTest(t, dir)
		defer l.Close()
		err := l.Record(t.Context(), event("x"))
		switch after, worse := Verify(dir); {
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
