package auditlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/fault"
)

// Every record can be proven, and nothing of a proof can be changed.
func TestProveEveryRecord(t *testing.T) {
	dir, _ := three(t)
	key := testKey(t, dir)
	records, _ := all(t, dir)
	for _, want := range records {
		text, err := Prove(dir, want.Seq, signer(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		got, c, err := CheckProof(text, key)
		if err != nil || got.Seq != want.Seq || got.Hash != want.Hash || c.Tree.N != int64(len(records)) {
			t.Fatalf("record %d: %+v, %+v, %v", want.Seq, got, c, err)
		}
		for i := 0; i < len(text); i += 7 {
			bad := bytes.Clone(text)
			bad[i] ^= 1
			if r, _, err := CheckProof(bad, key); err == nil && r.Hash != want.Hash {
				t.Fatalf("byte %d changed, and it proves %+v", i, r)
			} else if err == nil && i < bytes.LastIndex(text, []byte("\n\n")) {
				t.Fatalf("byte %d changed, and it still proves", i)
			}
		}
	}
}

func TestProofRefused(t *testing.T) {
	dir, _ := sample(t)
	key := testKey(t, dir)
	one, _ := Prove(dir, 1, signer(t, dir))
	two, err := Prove(dir, 2, signer(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.SplitN(string(one), "\n", 3), strings.SplitN(string(two), "\n", 3)
	other := testKey(t, filepath.Join(t.TempDir(), "other"))
	for name, c := range map[string]struct {
		text string
		kind fault.Kind
	}{
		"another's record":   {a[0] + "\n" + b[1] + "\n" + a[2], fault.Tampered},
		"another's place":    {b[0] + "\n" + a[1] + "\n" + b[2], fault.Tampered},
		"index beyond":       {strings.Replace(string(one), "index 0", "index 9", 1), fault.Tampered},
		"index otherwise":    {strings.Replace(string(one), "index 0", "index 00", 1), fault.Invalid},
		"negative index":     {strings.Replace(string(one), "index 0", "index -1", 1), fault.Invalid},
		"other header":       {strings.Replace(string(one), "@v1", "@v2", 1), fault.Invalid},
		"no record":          {strings.Replace(string(one), "extra ", "", 1), fault.Invalid},
		"too long":           {string(one) + strings.Repeat("\n", maxProof), fault.Invalid},
		"nothing":            {"", fault.Invalid},
		"checkpoint changed": {strings.Replace(string(one), "\n5\n", "\n6\n", 1), fault.Tampered},
	} {
		if _, _, err := CheckProof([]byte(c.text), key); err == nil || fault.KindOf(err) != c.kind || fault.HintOf(err) == "" && c.kind == fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := CheckProof(one, other); fault.KindOf(err) != fault.Tampered || err == nil {
		t.Errorf("another key: %v", err)
	}
	for _, n := range []uint64{0, 6} {
		if _, err := Prove(dir, n, signer(t, dir)); fault.KindOf(err) != fault.NotFound || err == nil {
			t.Errorf("record %d: %v", n, err)
		}
	}
}

func TestCheckpointRefused(t *testing.T) {
	dir, _ := sample(t)
	key, text := testKey(t, dir), string(mustSign(t, dir))
	for name, bad := range map[string]string{
		"size changed":    strings.Replace(text, "\n5\n", "\n4\n", 1),
		"root changed":    strings.Replace(text, "\n5\n", "\n5\nA", 1),
		"name changed":    "x" + text,
		"signature cut":   text[:len(text)-9] + "\n",
		"nothing":         "",
		"text":            "hello\n",
		"too long":        text + strings.Repeat("x", maxNote),
		"unsigned":        text[:strings.Index(text, "\n\n")+2],
		"another's":       string(mustSign(t, func() string { d, _ := sample(t); return d }())),
		"line of its own": strings.Replace(text, "\n\n", "\nmore\n\n", 1),
	} {
		if _, err := OpenCheckpoint([]byte(bad), key); err == nil {
			t.Errorf("%s: %q passed", name, bad)
		}
	}
	if c, err := OpenCheckpoint([]byte(text), key); err != nil || c.Tree.N != 5 || c.Origin != key.Name() {
		t.Errorf("%+v, %v", c, err)
	}
	v, err := ParseVerifier(key.String() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCheckpoint([]byte(text), v); err != nil {
		t.Errorf("by the verifier key alone: %v", err)
	}
}

// A signature of our own key that does not fit is tampering; one of a key that
// nobody knows is not: keys may be lost.
func TestSignaturesInTheRecord(t *testing.T) {
	dir, _ := three(t)
	if _, err := holds(t, dir, testKey(t, dir)); err != nil {
		t.Error(err)
	}
	if _, err := holds(t, dir, testKey(t, filepath.Join(t.TempDir(), "other"))); err != nil {
		t.Errorf("by another key: %v", err)
	}
	b := content(t, dir)
	line := firstLines(b, 1)
	i := bytes.Index(line, []byte("— nacre-audit"))
	bad := bytes.Clone(line)
	at := i + bytes.IndexByte(bad[i+8:], ' ') + 8 + 20
	bad[at] = map[bool]byte{true: 'B', false: 'A'}[bad[at] == 'A']
	os.WriteFile(current(dir), rehash(string(bad)), 0o600)
	if _, err := Verify(dir, Against{}); err != nil {
		t.Errorf("without a key nobody can know: %v", err)
	}
	if report, err := holds(t, dir, testKey(t, dir)); fault.KindOf(err) != fault.Tampered || report.BadSeq != 12 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "key")
	if _, err := LoadKey(path, os.Getuid()); fault.KindOf(err) != fault.NotFound || fault.HintOf(err) == "" {
		t.Errorf("none: %v", err)
	}
	made := make(chan string)
	for range 8 { // at once: all get the same
		go func() {
			k, err := MakeKey(path, os.Getuid())
			if err != nil {
				t.Error(err)
			}
			made <- fmt.Sprint(k)
		}()
	}
	first := <-made
	for range 7 {
		if k := <-made; k != first {
			t.Errorf("%s and %s", first, k)
		}
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	st, err := os.Stat(path)
	if err != nil || len(entries) != 1 || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, %v", entries, st.Mode(), err)
	}
	secret, _ := os.ReadFile(path)
	k, _ := LoadKey(path, os.Getuid())
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", k, k, k, k), fmt.Sprintf("%+v", struct{ K *Key }{k})} {
		if half := string(secret[len(secret)-20 : len(secret)-2]); strings.Contains(shown, half) || strings.Contains(shown, "PRIVATE") {
			t.Errorf("the key shows: %s", shown)
		}
	}
	for name, do := range map[string]func() error{
		"open to the group": func() error { return os.Chmod(path, 0o640) },
		"open to others":    func() error { return os.Chmod(path, 0o604) },
		"not a key":         func() error { return os.WriteFile(path, []byte("hello"), 0o600) },
		"verifier only":     func() error { return os.WriteFile(path, []byte(k.String()), 0o600) },
		"empty":             func() error { return os.WriteFile(path, nil, 0o600) },
		"link":              func() error { os.Remove(path); return os.Symlink("other", path) },
		"folder":            func() error { os.Remove(path); return os.Mkdir(path, 0o700) },
		"pipe":              func() error { os.Remove(path); return mkfifo(path) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		for _, load := range []func(string, int) (*Key, error){LoadKey, MakeKey} {
			if _, err := load(path, os.Getuid()); fault.KindOf(err) != fault.Invalid || err == nil || fault.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		os.Remove(path)
		os.WriteFile(path, secret, 0o600)
	}
	if _, err := LoadKey(path, os.Getuid()+1); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("another's: %v", err)
	}
}
