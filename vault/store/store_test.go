package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/fault"
	"nacre/vault/store"
)

const canary = "canary-of-a-secret-value"

func noEnv(string) string { return "" }

func TestKeepsAndForgets(t *testing.T) {
	v := &store.Vault{Dir: filepath.Join(t.TempDir(), "vault")}
	if lines, err := v.List(); err != nil || len(lines) != 0 {
		t.Fatalf("%v %v", lines, err)
	}
	for id, e := range map[string]store.Entry{"token": {Value: []byte(canary)}, "env": {Env: "TOKEN"}, "command": {Command: []string{"printf", "from a program\n"}}} {
		if err := v.Set(id, e, false); err != nil {
			t.Fatal(err)
		}
	}
	found, err := v.Get(context.Background(), []string{"token", "env", "command"}, func(name string) string { return "value of " + name })
	if err != nil || string(found["token"].Reveal()) != canary || string(found["env"].Reveal()) != "value of TOKEN" || string(found["command"].Reveal()) != "from a program" {
		t.Errorf("%v", err)
	}
	lines, err := v.List()
	if err != nil || len(lines) != 3 || strings.Contains(fmt.Sprint(lines), canary) || lines[2].Fingerprint == "" {
		t.Errorf("%v %v", lines, err)
	}
	if err := v.Set("token", store.Entry{Value: []byte("a value x")}, false); fault.KindOf(err) != fault.Conflict {
		t.Errorf("set twice: %v", err)
	}
	if err := v.Set("other", store.Entry{Value: []byte("a value x")}, true); fault.KindOf(err) != fault.NotFound {
		t.Errorf("rotated what is not there: %v", err)
	}
	if err := v.Set("token", store.Entry{Value: []byte("a new one")}, true); err != nil {
		t.Error(err)
	}
	if found, err := v.Get(context.Background(), []string{"token"}, noEnv); err != nil || string(found["token"].Reveal()) != "a new one" {
		t.Error(err)
	}
	if err := v.Remove("token"); err != nil {
		t.Error(err)
	}
	if _, err := v.Get(context.Background(), []string{"token"}, noEnv); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a secret that was removed: %v", err)
	}
	if _, err := v.Get(context.Background(), []string{"env"}, noEnv); err == nil {
		t.Error("a variable that is not set")
	}
}

// TestNothingInTheClear: the value is in no file of the store.
func TestNothingInTheClear(t *testing.T) {
	v := &store.Vault{Dir: filepath.Join(t.TempDir(), "vault"), Protect: true, Passphrase: func() ([]byte, error) { return []byte("the phrase"), nil }}
	if err := v.Set("token", store.Entry{Value: []byte(canary)}, false); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(v.Dir)
	if err != nil || len(entries) < 2 {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(v.Dir, e.Name()))
		st, _ := e.Info()
		if err != nil || bytes.Contains(b, []byte("canary")) || bytes.Contains(b, []byte("AGE-SECRET-KEY")) || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", e.Name(), err, st.Mode())
		}
	}
	for name, phrase := range map[string]func() ([]byte, error){"nobody": nil, "wrong": func() ([]byte, error) { return []byte("wrong"), nil }} {
		locked := &store.Vault{Dir: v.Dir, Passphrase: phrase}
		if _, err := locked.List(); err == nil || !strings.Contains(err.Error(), "locked") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLines: a private key has lines, and comes back as it was.
func TestLines(t *testing.T) {
	v := &store.Vault{Dir: filepath.Join(t.TempDir(), "vault")}
	const key = "-----BEGIN KEY-----\nabc\n-----END KEY-----"
	if err := v.Set("key", store.Entry{Value: []byte(key)}, false); err != nil {
		t.Fatal(err)
	}
	got, err := v.Get(context.Background(), []string{"key"}, noEnv)
	if err != nil || string(got["key"].Reveal()) != key {
		t.Errorf("%v", err)
	}
}

func TestRefuses(t *testing.T) {
	v := &store.Vault{Dir: filepath.Join(t.TempDir(), "vault")}
	for _, id := range []string{"", "*", "a b", "../x\x00", "-x", strings.Repeat("a", 129)} {
		if err := v.Set(id, store.Entry{Value: []byte("a value x")}, false); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, e := range []store.Entry{{}, {Value: []byte("a value x"), Env: "A"}, {Value: make([]byte, store.MaxValue+1)}, {Value: []byte("7 bytes")}} {
		if err := v.Set("x", e, false); fault.KindOf(err) != fault.Usage {
			t.Errorf("%v", err)
		}
	}
	if err := v.Set("binary", store.Entry{Value: []byte("a value\x00x")}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(context.Background(), []string{"binary"}, noEnv); err == nil {
		t.Error("a value with a zero byte")
	}
	if err := os.Chmod(v.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := v.List(); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a folder for everybody: %v", err)
	}
	if err := os.Chmod(v.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.Dir, "secrets.age"), []byte("not age"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.List(); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a file that is none: %v", err)
	}
}

// TestFolderExchanged: what is looked at is the folder that was opened, not the one
// that has its name a moment later.
func TestFolderExchanged(t *testing.T) {
	base := t.TempDir()
	for name, mode := range map[string]os.FileMode{"mine": 0o700, "everybodys": 0o755} {
		if err := errors.Join(os.Mkdir(filepath.Join(base, name), mode), os.Chmod(filepath.Join(base, name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(base, "vault")
	exchange := func(to string) {
		if err := errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link)); err != nil {
			t.Error(err)
		}
	}
	if err := (&store.Vault{Dir: filepath.Join(base, "mine")}).Set("token", store.Entry{Value: []byte(canary)}, false); err != nil {
		t.Fatal(err)
	}
	exchange("mine")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				exchange([]string{"mine", "everybodys"}[i%2])
			}
		}
	}()
	v := &store.Vault{Dir: link}
	for range 3000 {
		if lines, err := v.List(); err == nil && len(lines) == 0 {
			t.Error("everybody's folder was taken for the vault")
			break
		}
	}
	close(stop)
	<-done
}
