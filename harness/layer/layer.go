// Package layer keeps what harness skills installed: folders that are named by the
// digest of what belongs in them, and that nobody writes to again. What lies in
// one is compared with what was there when it was made, each time it is used.
package layer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Store is a folder of layers:
//
//	ADDRESS/        a layer
//	new-…/          one being made
//	lock            held by whoever makes one
//
// What was in each when it was made, ADDRESS.json, is in another folder, that no
// agent can be granted: whoever could change both would not be noticed.
type Store struct {
	dir     string
	root    *os.Root
	records string
}

// record is what was in a layer when it was made.
type record struct {
	Tree  string `json:"tree"`  // names, contents, which are executable
	Stamp string `json:"stamp"` // what changes when a file does, so that contents need not be read again
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// Open opens the store and the folder of its records, making them if need be. The
// store must belong to the caller or root and be writable by nobody else.
func Open(dir, records string) (*Store, error) {
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(records, 0o700)); err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "cannot make the folder for layers")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "cannot open the folder for layers")
	}
	info, err := root.Stat(".")
	if err != nil || info.Mode().Perm()&0o022 != 0 || owner(info) != os.Geteuid() && owner(info) != 0 {
		root.Close()
		return nil, fault.New(fault.Denied, "layers in %s: others may write to it", dir).WithHint("it must belong to you alone: chmod go-w %q", dir)
	}
	return &Store{dir, root, records}, nil
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// Close closes the store.
func (s *Store) Close() error { return s.root.Close() }

// Path is where a layer of a store lies, or would.
func Path(dir, address string) string { return filepath.Join(dir, address) }

// Has tells whether a layer is there, and refuses one that was changed. An
// administrator's is there as it is: nobody else can change it.
func (s *Store) Has(address string) (bool, error) {
	if info, err := s.root.Lstat(address); err == nil && info.IsDir() && owner(info) == 0 && os.Geteuid() != 0 {
		return true, nil
	}
	text, err := os.ReadFile(s.record(address))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var was record
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return false, fault.Wrap(fault.Tampered, err, "the record of layer %s", address)
	}
	now, err := s.stamp(address)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // somebody made room
	}
	if err == nil && now == was.Stamp {
		return true, nil
	}
	is, err := s.measure(address)
	if err != nil || is.Tree != was.Tree {
		return false, fault.Wrap(fault.Tampered, err, "the layer %s was changed since it was installed", Path(s.dir, address)).
			WithHint("remove it, and it is fetched again: rm -r %q", Path(s.dir, address))
	}
	return true, s.write(address, is)
}

// Make makes a layer, unless it is there by then: fill gets a new empty folder.
// One is made at a time; waiting is called where another is at it.
func (s *Store) Make(address string, waiting func(), fill func(folder string) error) error {
	lock, err := s.lock(waiting)
	if err != nil {
		return err
	}
	defer lock.Close()
	if there, err := s.Has(address); there || err != nil {
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	name := "new-" + address
	if err := s.root.Mkdir(name, 0o755); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot make a layer")
	}
	defer s.root.RemoveAll(name)
	if err := fill(filepath.Join(s.dir, name)); err != nil {
		return err
	}
	return s.publish(name, address)
}

func (s *Store) publish(name, address string) error {
	if err := s.root.RemoveAll(address); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot keep a layer")
	}
	if err := s.root.Rename(name, address); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot keep a layer")
	}
	is, err := s.measure(address)
	if err != nil {
		return err
	}
	return s.write(address, is)
}

func (s *Store) record(address string) string { return filepath.Join(s.records, address+".json") }

// write keeps a record, whole or not at all.
func (s *Store) write(address string, is record) error {
	text, err := json.Marshal(is)
	if err == nil {
		err = os.WriteFile(s.record("new-"+address), append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(s.record("new-"+address), s.record(address))
	}
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot keep the record of a layer")
	}
	return nil
}

// sweep takes away what was left half made. The caller has the lock.
func (s *Store) sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "new-") {
			err = errors.Join(err, s.root.RemoveAll(e.Name()))
		}
	}
	return err
}

func (s *Store) lock(waiting func()) (*os.File, error) {
	f, err := s.root.OpenFile("lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "cannot lock the layers")
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		return f, nil
	}
	waiting()
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the layers: %w", err)
	}
	return f, nil
}

// measure reads a whole layer.
func (s *Store) measure(address string) (r record, err error) {
	store, err := s.root.Open(".")
	if err != nil {
		return r, err
	}
	defer store.Close()
	if r.Tree, r.Files, r.Bytes, err = tree(store, address); err == nil {
		r.Stamp, err = stamp(store, address)
	}
	return r, err
}

func (s *Store) stamp(address string) (string, error) {
	store, err := s.root.Open(".")
	if err != nil {
		return "", err
	}
	defer store.Close()
	return stamp(store, address)
}
