package image

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// A store's folder holds
//
//	sha256-HEX/          an image: image.json and rootfs/
//	temp-RANDOM/         one being unpacked or removed, locked by who does it
//	locks/
//
// Locks are flock: a killed process gives them back. Order: the image's, then
// the store's.
const (
	rootfsName = "rootfs"
	recordName = "image.json"
	tempPrefix = "temp-"
	locksName  = "locks"
)

// Store is a folder of unpacked images, each under its content's digest. Any
// number of processes may use one at a time.
type Store struct {
	dir     string
	root    *os.Root
	options Options
}

// Open opens the store in the folder, making it if need be. It must belong to
// the caller and be writable by nobody else.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{dir: dir, options: o.defaults()}
	err := os.MkdirAll(filepath.Join(dir, locksName), 0o700)
	if err == nil {
		if s.dir, err = filepath.Abs(dir); err == nil {
			s.root, err = os.OpenRoot(s.dir)
		}
	}
	if err != nil {
		return nil, s.fail(err, "opening it")
	}
	info, err := s.root.Stat(".")
	if err != nil || info.Mode().Perm()&0o022 != 0 || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		s.root.Close()
		return nil, fault.New(fault.Denied, "image store %q: others may write to it", dir).
			WithHint("it must belong to you alone: chmod 700, or choose another folder")
	}
	return s, nil
}

// fail makes a fault of an error of the store's own folder.
func (s *Store) fail(err error, doing string) error {
	return fault.Wrap(fault.Exhausted, err, "image store %q: %s", s.dir, doing).
		WithHint("see that there is room in it and that you may write to it")
}

// Close closes the store; root file systems that it gave stay open.
func (s *Store) Close() error { return s.root.Close() }

// lock takes a named lock, waiting for whoever has it until the context ends.
func (s *Store) lock(ctx context.Context, name string) (*os.File, error) {
	file, err := s.root.OpenFile(locksName+"/"+name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, s.fail(err, "locking")
	}
	for {
		err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, s.fail(err, "locking")
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ended(ctx, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// flock locks an open file, whatever signals come.
func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// temp is a temporary folder, locked while its maker lives.
type temp struct {
	store *Store
	name  string
	dir   *os.File
}

// temp makes a temporary folder. The store's lock keeps a sweep from taking it
// between its making and its locking.
func (s *Store) temp() (*temp, error) {
	guard, err := s.lock(context.Background(), "store")
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	t := &temp{store: s, name: tempPrefix + rand.Text()}
	if err = s.root.Mkdir(t.name, 0o700); err == nil {
		if t.dir, err = s.root.Open(t.name); err == nil {
			err = flock(t.dir, unix.LOCK_EX|unix.LOCK_NB)
		}
	}
	if err != nil {
		return nil, s.fail(err, "making a temporary folder")
	}
	return t, nil
}

// mkdir makes and opens a folder in the temporary one.
func (t *temp) mkdir(name string) (*os.File, error) {
	if err := unix.Mkdirat(int(t.dir.Fd()), name, 0o700); err != nil {
		return nil, t.store.fail(err, "making a temporary folder")
	}
	return openFolder(t.dir, name, filepath.Join(t.store.dir, t.name, name))
}

// discard removes the folder, unless it was published.
func (t *temp) discard() {
	if t.dir != nil {
		t.store.root.RemoveAll(t.name) // what stays, the next sweep takes
		t.dir.Close()
	}
}

// sweep removes temporary folders whose makers are dead.
func (s *Store) sweep() {
	guard, err := s.lock(context.Background(), "store")
	if err != nil {
		return
	}
	names, _ := fs.ReadDir(s.root.FS(), ".")
	var dead []*os.File
	for _, entry := range names {
		if !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		dir, err := s.root.Open(entry.Name())
		if err != nil {
			continue
		}
		if flock(dir, unix.LOCK_EX|unix.LOCK_NB) != nil {
			dir.Close()
			continue
		}
		dead = append(dead, dir)
	}
	guard.Close() // removing may take long; the folders are locked
	for _, dir := range dead {
		s.root.RemoveAll(filepath.Base(dir.Name()))
		dir.Close()
	}
}
