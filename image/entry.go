package image

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Info is one image of the store.
type Info struct {
	Digest    string    `json:"digest"`
	Reference string    `json:"reference"` // by which it came first
	Size      int64     `json:"size"`      // bytes unpacked, all layers together
	Entries   int64     `json:"entries"`   // likewise
	Created   time.Time `json:"created"`   // in the store
	Notes     []string  `json:"notes,omitempty"`
	Config    Config    `json:"config"`
}

// build fills the temporary folder and makes it the entry, whose lock the
// caller holds.
func (s *Store) build(ctx context.Context, ref *reference, t *temp, m *meter) (Rootfs, error) {
	var src source
	var err error
	if ref.from == fromArchive {
		src, err = s.fromArchive(ctx, ref, t)
	} else {
		src, err = s.fromBlobs(ctx, ref, ref.blobs, ref.digest)
	}
	if err != nil {
		return Rootfs{}, err
	}
	dir, err := t.mkdir(rootfsName)
	if err != nil {
		return Rootfs{}, err
	}
	defer dir.Close()
	u := newUnpacker(ref.text, dir, newBudget(s.options))
	m.begin(src.layers)
	for i, l := range src.layers {
		m.status.Layer = i + 1
		if err := l.apply(ctx, u, m); err != nil {
			return Rootfs{}, err
		}
	}
	c := src.config.Config
	info := Info{Digest: ref.digest.String(), Reference: ref.text, Notes: u.notes.lines(), Created: time.Now().UTC(),
		Size: s.options.MaxBytes - u.budget.bytes, Entries: s.options.MaxEntries - u.budget.entries,
		Config: Config{src.config.Architecture, c.Env, c.Entrypoint, c.Cmd, c.WorkingDir, c.User}}
	if err := dir.Chmod(0o755); err != nil { // the agent's /; the folder above stays 0700
		return Rootfs{}, s.fail(err, "storing an image")
	}
	return s.publish(ref.key(), t, info)
}

// publish makes the temporary folder the entry, whole or not at all.
func (s *Store) publish(key string, t *temp, info Info) (Rootfs, error) {
	err := s.root.RemoveAll(t.name + "/archive")
	if err == nil {
		err = s.record(t.name, info)
	}
	if err == nil {
		err = unix.Syncfs(int(t.dir.Fd())) // the files before the name that vouches for them
	}
	if err == nil {
		err = s.root.Rename(t.name, key)
	}
	if err != nil {
		return Rootfs{}, s.fail(err, "storing an image")
	}
	if root, err := s.root.Open("."); err == nil {
		root.Sync() // should the name be lost, the image is pulled again
		root.Close()
	}
	hold := t.dir
	t.dir = nil
	return s.hold(key, hold, info)
}

func (s *Store) record(name string, info Info) error {
	raw, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	return s.root.WriteFile(name+"/"+recordName, raw, 0o600)
}

// entry opens an entry, whose lock the caller holds.
func (s *Store) entry(key string) (Rootfs, bool, error) {
	dir, err := s.root.Open(key)
	if errors.Is(err, os.ErrNotExist) {
		return Rootfs{}, false, nil
	}
	if err != nil {
		return Rootfs{}, false, s.fail(err, "opening an image")
	}
	info, err := s.info(key)
	if err == nil && info.Config.Architecture != runtime.GOARCH {
		err = fault.New(fault.Unsupported, "image %s: it is for %q; this machine is %s", info.Digest, info.Config.Architecture, runtime.GOARCH)
	}
	if err != nil {
		dir.Close()
		return Rootfs{}, false, err
	}
	rootfs, err := s.hold(key, dir, info)
	return rootfs, err == nil, err
}

// hold makes a Rootfs of an entry's open folder.
func (s *Store) hold(key string, dir *os.File, info Info) (Rootfs, error) {
	if err := flock(dir, unix.LOCK_SH); err != nil {
		dir.Close()
		return Rootfs{}, s.fail(err, "locking")
	}
	return Rootfs{Path: filepath.Join(s.dir, key, rootfsName), Digest: info.Digest,
		Notes: info.Notes, Config: info.Config, hold: dir}, nil
}

// info reads an entry's record.
func (s *Store) info(key string) (Info, error) {
	var info Info
	file, err := s.root.Open(key + "/" + recordName)
	if err == nil {
		defer file.Close()
		err = json.NewDecoder(io.LimitReader(file, 4*maxDocument)).Decode(&info)
	}
	if err != nil {
		return info, fault.Wrap(fault.Tampered, err, "image store %q: %s is damaged", s.dir, key).
			WithHint("remove the folder %s; the image is then pulled again", filepath.Join(s.dir, key))
	}
	return info, nil
}

// List returns the store's images.
func (s *Store) List() ([]Info, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, s.fail(err, "listing")
	}
	var list []Info
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "sha256-") {
			continue
		}
		info, err := s.info(entry.Name())
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, nil
}

// Remove removes the image with the digest. One that a sandbox uses stays.
func (s *Store) Remove(ctx context.Context, digest string) error {
	h, err := parseDigest(digest, digest)
	if err != nil {
		return err
	}
	key := "sha256-" + h.Hex
	lock, err := s.lock(ctx, key)
	if err != nil {
		return err
	}
	defer lock.Close()
	dir, err := s.root.Open(key)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "image %s: the store does not have it", digest)
	}
	defer dir.Close()
	if err := flock(dir, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fault.Wrap(fault.Conflict, err, "image %s: a sandbox uses it", digest).WithHint("stop the sandbox first")
	}
	// Away first, in one step; locked, so that no sweep interferes.
	away := tempPrefix + rand.Text()
	if err = s.root.Rename(key, away); err == nil {
		err = s.root.RemoveAll(away)
	}
	if err != nil {
		return s.fail(err, "removing an image")
	}
	return nil
}
