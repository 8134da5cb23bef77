package launch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/vault/store"
)

// Keeper keeps secrets that change when they are used: refresh tokens of which each
// holds once. All sandboxes of an owner share them, so that each is lent to one at a
// time. Its zero value lends nothing.
type Keeper struct {
	Dir   string // of the locks
	Vault *store.Vault
}

// errElsewhere says that a secret is where it cannot be written to.
var errElsewhere = fault.New(fault.Unsupported, "it is kept where it cannot be written back")

// Lend returns a secret's value once no other sandbox has it; release gives it back.
// What cannot be kept is not lent: errElsewhere.
func (k *Keeper) Lend(ctx context.Context, name string) (value []byte, release func(), err error) {
	if k == nil || k.Vault == nil {
		return nil, nil, errElsewhere
	}
	if _, err := k.entry(name); err != nil {
		return nil, nil, err
	}
	if release, err = k.alone(ctx, name); err != nil {
		return nil, nil, err
	}
	secrets, err := k.Vault.Get(ctx, []string{name}, func(string) string { return "" })
	if err != nil {
		release()
		return nil, nil, err
	}
	value = bytes.Clone(secrets[name].Reveal())
	secrets[name].Zero()
	return value, release, nil
}

// entry is a secret's, without its value, where it can be written back.
func (k *Keeper) entry(name string) (e store.Entry, err error) {
	lines, err := k.Vault.List()
	if err != nil {
		return e, errElsewhere // locked, and nobody can be asked now
	}
	for _, l := range lines {
		if l.Name == name && (l.Kind == "value" || l.Kind == "keyring") {
			return store.Entry{Keyring: l.Kind == "keyring"}, nil
		}
	}
	return e, errElsewhere
}

// alone waits until no other sandbox has the secret.
func (k *Keeper) alone(ctx context.Context, name string) (release func(), err error) {
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name))
	f, err := os.OpenFile(filepath.Join(k.Dir, hex.EncodeToString(sum[:8])+".lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, fault.New(fault.Exhausted, "another sandbox has the secret %s for too long", name)
		}
	}
	return func() { f.Close() }, nil
}

// Keep puts a new value in the place of one that was lent, unless the owner has changed
// it meanwhile.
func (k *Keeper) Keep(name string, before, after []byte) error {
	secrets, err := k.Vault.Get(context.Background(), []string{name}, func(string) string { return "" })
	if err != nil {
		return err
	}
	same := bytes.Equal(secrets[name].Reveal(), before)
	secrets[name].Zero()
	if !same {
		return fault.New(fault.Conflict, "the secret was changed meanwhile")
	}
	e, err := k.entry(name)
	if err != nil {
		return err
	}
	e.Value = after
	return k.Vault.Set(name, e, true)
}
