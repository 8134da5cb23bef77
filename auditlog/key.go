package auditlog

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"nacre/audit"
	"nacre/fault"
)

// Key signs checkpoints. It never prints.
type Key struct {
	note.Signer
	note.Verifier
	public string
}

// String is the verifier key: what may be shown to everybody.
func (k *Key) String() string { return k.public }

// GoString is the same, for %#v.
func (k *Key) GoString() string { return k.public }

// Name is the log's name.
func (k *Key) Name() string { return k.Verifier.Name() }

// KeyHash tells keys of one name apart.
func (k *Key) KeyHash() uint32 { return k.Verifier.KeyHash() }

// maxKey is more than any key takes.
const maxKey = 1 << 10

// LoadKey reads the key in the file path, which must belong to owner, and be
// closed to everybody else.
func LoadKey(path string, owner int) (*Key, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, keyFault(err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, keyFault(err)
	case !st.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "%s is not a regular file", path).WithHint("move it away")
	}
	if err := audit.Trust(st, path, owner, 0o077); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return nil, keyFault(err)
	}
	defer clear(text)
	k, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s holds no key", path).
			WithHint("move it away: another is made, with another name; checkpoints of the old one need its verifier key")
	}
	return k, nil
}

// MakeKey is LoadKey, which makes the key first where there is none.
func MakeKey(path string, owner int) (*Key, error) {
	k, err := LoadKey(path, owner)
	if fault.KindOf(err) != fault.NotFound {
		return k, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, keyFault(err)
	}
	secret, _, err := note.GenerateKey(rand.Reader, fmt.Sprintf("nacre-audit-%s", strings.ToLower(rand.Text()[:12])))
	if err != nil {
		return nil, err
	}
	// Whoever comes first wins, and nobody sees half a key.
	draft := path + "." + strings.ToLower(rand.Text()[:12])
	if err := writeNew(draft, []byte(secret+"\n")); err != nil {
		return nil, keyFault(err)
	}
	defer os.Remove(draft)
	if err := os.Link(draft, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, keyFault(err)
	}
	if err := audit.SyncFolder(filepath.Dir(path)); err != nil {
		return nil, keyFault(err)
	}
	return LoadKey(path, owner)
}

// writeNew makes a file that is on the disk when it returns.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

func keyFault(err error) error {
	kind, hint := fault.Invalid, "the key of the audit is a regular file of its owner's, in the state folder"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind, hint = fault.NotFound, "nacre audit checkpoint makes it"
	case exhausted(err):
		kind, hint = fault.Exhausted, "make room there"
	}
	return fault.Wrap(kind, err, "cannot use the audit's key").WithHint("%s", hint)
}

// parseKey reads "PRIVATE+KEY+name+hash+base64", and finds the public half.
func parseKey(text string) (*Key, error) {
	signer, err := note.NewSigner(text)
	if err != nil {
		return nil, err
	}
	fields := strings.SplitN(text, "+", 5) // the last may hold a + of its own
	secret, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(secret) != 1+ed25519.SeedSize {
		return nil, errors.New("not an Ed25519 key")
	}
	defer clear(secret)
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(secret[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(public)
	return &Key{Signer: signer, Verifier: verifier, public: public}, err
}

// ParseVerifier reads a verifier key as nacre audit key prints it.
func ParseVerifier(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(text))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "--key").WithHint("expected what nacre audit key prints: NAME+HASH+KEY")
	}
	return v, nil
}
