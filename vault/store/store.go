// Package store is the owner's vault: secrets in a file that is encrypted with age, or
// notes of where else the owner has them. It gives what it is asked for by name; which
// names those are, a plan says. No sandbox reaches it: its folder is Nacre's own.
package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"nacre/fault"
	"nacre/vault"
)

// Entry is one secret as it is kept: its value, or where the owner has it.
type Entry struct {
	Value   []byte    `json:"value,omitempty"`
	Env     string    `json:"env,omitempty"`     // a variable of the owner's
	Command []string  `json:"command,omitempty"` // a program that prints it
	Keyring bool      `json:"keyring,omitempty"` // in the owner's keyring
	Changed time.Time `json:"changed"`
}

// Line is what can be said about a secret.
type Line struct {
	Name        string    `json:"name"`
	Kind        string    `json:"kind"` // value, env, command or keyring
	From        string    `json:"from,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"` // of a value that is kept here
	Changed     time.Time `json:"changed"`
}

// content is the vault as it is encrypted.
type content struct {
	Version int              `json:"version"`
	Salt    []byte           `json:"salt"`
	Secrets map[string]Entry `json:"secrets"`
}

func (c *content) zero() {
	for _, e := range c.Secrets {
		clear(e.Value)
	}
}

// Vault is the owner's secrets in a folder.
type Vault struct {
	Dir string
	// Passphrase is asked where the key is protected by one; nil: there is nobody
	// to ask.
	Passphrase func() ([]byte, error)
	Protect    bool // the key of a new vault, with a passphrase
	Keyring    Keyring
}

// Keyring is where an owner's desktop keeps secrets.
type Keyring interface {
	Set(name string, value []byte) error
	Get(name string) ([]byte, error)
	Remove(name string) error
}

// Name is what a secret of at most 128 bytes may be called; in a manifest the
// same. A bound in the expression would take longer to compile than all else here.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]*$`)

// MaxValue bounds a secret, in bytes. MinValue is the shortest: a shorter one would
// be guessed, and cannot be found again in what a server says.
const (
	MaxValue = 16 << 10
	MinValue = 8
)

// Set keeps an entry. With rotate it must be there already, without it must not.
func (v *Vault) Set(id string, e Entry, rotate bool) error {
	if len(id) > 128 || !name.MatchString(id) {
		return fault.New(fault.Usage, "%q is no name for a secret", id).WithHint("letters, digits and . _ / : @ -, at most 128")
	}
	if sources := count(len(e.Value) > 0, e.Env != "", len(e.Command) > 0); sources != 1 || len(e.Value) > MaxValue || e.Keyring && (len(e.Value) == 0 || v.Keyring == nil) {
		return fault.New(fault.Usage, "secret %s: expected a value of at most %d bytes, or where it is", id, MaxValue)
	}
	if n := len(e.Value); n > 0 && n < MinValue {
		return fault.New(fault.Usage, "secret %s: %d bytes are too short", id, n).
			WithHint("it takes %d: a reply that says a shorter one again could not be masked", MinValue)
	}
	return v.change(func(c *content) error {
		if _, there := c.Secrets[id]; there != rotate {
			return map[bool]error{true: fault.New(fault.Conflict, "there is a secret %s already", id).WithHint("nacre secret rotate %s replaces it", id),
				false: missing(id)}[there]
		}
		var err error
		switch {
		case e.Keyring:
			err = v.Keyring.Set(id, e.Value)
			e.Value = nil
		case c.Secrets[id].Keyring:
			err = v.Keyring.Remove(id)
		}
		e.Changed = time.Now().UTC().Truncate(time.Second)
		c.Secrets[id] = e
		return err
	})
}

func count(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

func missing(id string) error {
	return fault.New(fault.NotFound, "there is no secret %s", id).WithHint("nacre secret set %s", id)
}

// Remove forgets a secret.
func (v *Vault) Remove(id string) error {
	return v.change(func(c *content) error {
		e, there := c.Secrets[id]
		if !there {
			return missing(id)
		}
		if e.Keyring {
			if err := v.Keyring.Remove(id); err != nil {
				return err
			}
		}
		clear(e.Value)
		delete(c.Secrets, id)
		return nil
	})
}

// List says what is there, and no value.
func (v *Vault) List() (lines []Line, err error) {
	c, err := v.read()
	if err != nil {
		return nil, err
	}
	defer c.zero()
	for _, id := range slices.Sorted(maps.Keys(c.Secrets)) {
		e := c.Secrets[id]
		l := Line{Name: id, Kind: "value", Changed: e.Changed}
		switch {
		case e.Env != "":
			l.Kind, l.From = "env", e.Env
		case len(e.Command) > 0:
			l.Kind, l.From = "command", e.Command[0]
		case e.Keyring:
			l.Kind = "keyring"
		default:
			l.Fingerprint = vault.New(e.Value).Fingerprint(c.Salt)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// Get fetches the secrets of these names, or none. Zero each when it is used.
func (v *Vault) Get(ctx context.Context, ids []string, getenv func(string) string) (map[string]*vault.Secret, error) {
	c, err := v.read()
	if err != nil {
		return nil, err
	}
	defer c.zero()
	found := map[string]*vault.Secret{}
	for _, id := range ids {
		e, there := c.Secrets[id]
		if !there {
			return nil, missing(id)
		}
		value, err := v.fetch(ctx, id, e, getenv)
		if err == nil && (len(value) == 0 || len(value) > MaxValue || bytes.IndexByte(value, 0) >= 0) {
			err = fault.New(fault.Invalid, "expected text of at most %d bytes, found %d bytes", MaxValue, len(value))
		}
		if err != nil {
			return nil, fault.Wrap(fault.NotFound, err, "secret %s", id)
		}
		found[id] = vault.New(value)
	}
	return found, nil
}

// patience is how long a program may take to print a secret.
const patience = 30 * time.Second

func (v *Vault) fetch(ctx context.Context, id string, e Entry, getenv func(string) string) ([]byte, error) {
	switch {
	case e.Keyring:
		return v.Keyring.Get(id)
	case e.Env != "":
		if value := getenv(e.Env); value != "" {
			return []byte(value), nil
		}
		return nil, fault.New(fault.NotFound, "the variable %s is not set", e.Env)
	case len(e.Command) > 0:
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		program := exec.CommandContext(ctx, e.Command[0], e.Command[1:]...)
		program.Stderr = os.Stderr // it may have to ask
		out, err := program.Output()
		return bytes.TrimRight(out, "\r\n"), err
	}
	return slices.Clone(e.Value), nil
}

// decode reads what was decrypted.
func decode(b []byte) (*content, error) {
	c := &content{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil || c.Version != 1 || c.Secrets == nil {
		return nil, fault.New(fault.Tampered, "the vault is not one of version 1")
	}
	return c, nil
}

func empty() *content {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	return &content{Version: 1, Salt: salt, Secrets: map[string]Entry{}}
}
