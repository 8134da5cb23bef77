package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"nacre/fault"
)

// The files of a vault: the secrets, encrypted to a key; the key, as age keeps
// it, or encrypted with a passphrase; and what is locked while they change.
const (
	secretsFile = "secrets.age"
	keyFile     = "key.txt"
	lockedKey   = "key.age"
	lockFile    = "lock"
	maxFile     = 8 << 20
)

// open opens the folder, which must be the owner's alone.
func (v *Vault) open() (*os.Root, error) {
	if err := os.MkdirAll(v.Dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(v.Dir)
	if err != nil {
		return nil, err
	}
	st, err := dir.Stat(".") // what was opened, whatever has its name by now
	if err == nil && !private(st) {
		err = fault.New(fault.Tampered, "%s must be yours alone", v.Dir).WithHint("chmod 700 %s, and see who could look into it", v.Dir)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// private tells whether only its owner, who is this process's, may use a folder.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}

// read decrypts what is there; a vault that is not there is empty.
func (v *Vault) read() (*content, error) {
	dir, err := v.open()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	c, _, err := v.load(dir)
	return c, err
}

// load also returns the key; nil where there is no vault yet.
func (v *Vault) load(dir *os.Root) (*content, *age.X25519Identity, error) {
	sealed, err := readFile(dir, secretsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return empty(), nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := v.key(dir)
	if err != nil {
		return nil, nil, err
	}
	b, err := unseal(sealed, key)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Tampered, err, "%s cannot be decrypted with its key", dir.Name()+"/"+secretsFile)
	}
	defer clear(b)
	c, err := decode(b)
	return c, key, err
}

// key reads the key, asking for its passphrase where it has one.
func (v *Vault) key(dir *os.Root) (*age.X25519Identity, error) {
	text, err := readFile(dir, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = readFile(dir, lockedKey); err == nil {
			text, err = v.unlock(text)
		}
	}
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "the vault is locked: its key cannot be read").WithHint("run it where the passphrase can be asked for; the key is in %s", v.Dir)
	}
	defer clear(text)
	return age.ParseX25519Identity(string(bytes.TrimSpace(text)))
}

func (v *Vault) unlock(sealed []byte) ([]byte, error) {
	if v.Passphrase == nil {
		return nil, errors.New("it has a passphrase, and there is nobody to ask")
	}
	phrase, err := v.Passphrase()
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	id, err := age.NewScryptIdentity(string(phrase))
	if err != nil {
		return nil, err
	}
	return unseal(sealed, id)
}

func unseal(sealed []byte, id age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxFile))
}

func seal(b []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// change changes what is there while nobody else does.
func (v *Vault) change(do func(*content) error) error {
	dir, err := v.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	lock, err := dir.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	c, key, err := v.load(dir)
	if err != nil {
		return err
	}
	defer c.zero()
	if err := do(c); err != nil {
		return err
	}
	if key == nil {
		if key, err = v.create(dir); err != nil {
			return err
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	defer clear(b)
	sealed, err := seal(b, key.Recipient())
	if err != nil {
		return err
	}
	return writeFile(dir, secretsFile, sealed)
}

// create makes the key of a new vault, protected where there is a passphrase.
func (v *Vault) create(dir *os.Root) (*age.X25519Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	if !v.Protect {
		return key, writeFile(dir, keyFile, []byte(key.String()+"\n"))
	}
	if v.Passphrase == nil {
		return nil, fault.New(fault.Usage, "there is nobody to ask for a passphrase")
	}
	phrase, err := v.Passphrase()
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	to, err := age.NewScryptRecipient(string(phrase))
	if err != nil {
		return nil, err
	}
	sealed, err := seal([]byte(key.String()), to)
	if err != nil {
		return nil, err
	}
	return key, writeFile(dir, lockedKey, sealed)
}

func readFile(dir *os.Root, name string) ([]byte, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// writeFile replaces a file at once and for good.
func writeFile(dir *os.Root, name string, b []byte) error {
	f, err := dir.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return dir.Rename(name+".new", name)
}
