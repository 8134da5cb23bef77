// Package runs keeps the short-lived folder of every running sandbox: who it
// is, what has to be taken away after a crash, and the socket on which it is
// talked to. A folder whose lock is free belongs to a supervisor that died.
package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox/cgroup"
)

// Record is what is known of a sandbox while it runs.
type Record struct {
	ID         string       `json:"id"`
	Name       string       `json:"name,omitempty"` // the owner's, unique among those running
	Agent      string       `json:"agent"`          // what the manifest calls itself
	Engine     string       `json:"engine"`
	Plan       string       `json:"plan"` // digest
	Subject    string       `json:"subject"`
	Command    []string     `json:"command"`
	Supervisor int          `json:"supervisor"` // pid
	Init       int          `json:"init"`       // pid
	Started    time.Time    `json:"started"`
	Groups     cgroup.State `json:"groups"`
}

// Store is the folder of all runs of one user.
type Store struct{ dir string }

// Folder is where an owner's store is: /run/nacre for root, else nacre under
// $XDG_RUNTIME_DIR, else under the state folder.
func Folder(uid int, runtimeDir, stateDir string) string {
	switch {
	case uid == 0:
		return "/run/nacre"
	case runtimeDir != "":
		return filepath.Join(runtimeDir, "nacre")
	default:
		return filepath.Join(stateDir, "run")
	}
}

// Open opens or makes a store that belongs to a user.
func Open(uid int, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "cannot make the folder of running sandboxes").
			WithHint("make %s writable for you", dir)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != uid || st.Mode&0o022 != 0 {
		return nil, fault.New(fault.Tampered, "%s is not a folder of your own that only you can write to", dir).
			WithHint("remove it; nacre makes it anew")
	}
	return &Store{dir}, nil
}

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

var identifier = regexp.MustCompile(`^[a-z0-9]{8}$`)

// Entry is the folder of one running sandbox, locked by this process.
type Entry struct {
	Record Record
	dir    string
	lock   *os.File
}

// Add registers a sandbox. A name that a running sandbox has is a Conflict.
func (s *Store) Add(r Record) (*Entry, error) {
	unlock, err := s.lockAll()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.unnamed(r.Name); err != nil {
		return nil, err
	}
	e := &Entry{Record: r, dir: filepath.Join(s.dir, r.ID)}
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "cannot register the sandbox")
	}
	// Waiting, because whoever lists holds each lock for a moment.
	if e.lock, err = lock(filepath.Join(e.dir, "lock"), unix.LOCK_EX); err != nil {
		_ = os.RemoveAll(e.dir)
		return nil, err
	}
	return e, e.Save()
}

// unnamed refuses a name that a running sandbox has.
func (s *Store) unnamed(name string) error {
	if name == "" {
		return nil // the records of many others take long to read
	}
	running, err := s.List()
	for _, other := range running {
		if other.Name == name {
			return fault.New(fault.Conflict, "a sandbox named %q is running already (%s)", name, other.ID).
				WithHint("give another --name, or end it: nacre stop %s", name)
		}
	}
	return err
}

func (s *Store) lockAll() (func(), error) {
	f, err := lock(filepath.Join(s.dir, ".lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lock opens a file, locked. A start tries hundreds where hundreds run, so one that is
// not free becomes no os.File.
func lock(path string, how int) (*os.File, error) {
	fd, err := unbroken(func() (int, error) {
		return unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, &fs.PathError{Op: "open", Path: path, Err: err}, "cannot lock")
	}
	if _, err := unbroken(func() (int, error) { return 0, unix.Flock(fd, how) }); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// unbroken calls again what a signal has interrupted.
func unbroken(call func() (int, error)) (n int, err error) {
	for err = unix.EINTR; err == unix.EINTR; {
		n, err = call()
	}
	return n, err
}

// Save writes the record for others to read, whole or not at all.
func (e *Entry) Save() error {
	b, err := json.Marshal(e.Record)
	if err != nil {
		return err
	}
	temp := filepath.Join(e.dir, "record.new")
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot register the sandbox")
	}
	return os.Rename(temp, filepath.Join(e.dir, "record"))
}

// Socket is the path of the sandbox's control socket.
func (e *Entry) Socket() string { return filepath.Join(e.dir, "socket") }

// Close forgets the sandbox. Its folder gets out of the way first: others, who
// lock and listen in it, could otherwise make a file while it is emptied.
func (e *Entry) Close() error {
	defer e.lock.Close()
	gone := filepath.Join(filepath.Dir(e.dir), "."+filepath.Base(e.dir))
	if err := os.Rename(e.dir, gone); err != nil {
		return err
	}
	err := os.RemoveAll(gone)
	for try := 0; err != nil && try < 100; try++ { // who has it open already may make one more file
		err = os.RemoveAll(gone)
	}
	return err
}

// Socket is the path of a running sandbox's control socket.
func (s *Store) Socket(r Record) string { return filepath.Join(s.dir, r.ID, "socket") }

// Short is another name for a socket, good until done: it goes by its folder's
// descriptor, because the kernel takes at most 107 bytes for a socket's path.
func Short(socket string) (name string, done func(), err error) {
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return "", nil, err
	}
	name = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket))
	return name, func() { dir.Close() }, nil
}

// List returns the running sandboxes, the oldest first.
func (s *Store) List() ([]Record, error) {
	var list []Record
	names, err := s.names()
	for _, id := range names {
		if !identifier.MatchString(id) {
			continue
		}
		if r := s.read(id); !s.dead(id) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Record) int { return a.Started.Compare(b.Started) })
	return list, err
}

// Find returns the running sandbox of an id, a unique beginning of one, or a
// name.
func (s *Store) Find(name string) (Record, error) {
	list, err := s.List()
	if err != nil {
		return Record{}, err
	}
	var found []Record
	for _, r := range list {
		if name != "" && (r.ID == name || r.Name == name) {
			return r, nil
		}
		if name != "" && strings.HasPrefix(r.ID, name) {
			found = append(found, r)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	what := fmt.Sprintf("%d running sandboxes have ids that begin with %q", len(found), name)
	if len(found) == 0 {
		what = fmt.Sprintf("no running sandbox is called %q", name)
	}
	return Record{}, fault.New(fault.NotFound, "%s", what).
		WithHint("nacre ps lists them")
}

// Sweep takes away what dead supervisors left: their groups, whatever still
// runs in those, and their folders. It returns the ids.
func (s *Store) Sweep() (swept []string, err error) {
	defer func() {
		if err != nil {
			err = fault.Wrap(fault.Leftover, err, "remains of an earlier sandbox cannot be removed")
		}
	}()
	unlock, err := s.lockAll()
	if err != nil {
		return nil, err
	}
	defer unlock()
	names, err := s.names()
	errs := []error{err}
	for _, name := range names {
		id, gone := strings.CutPrefix(name, ".") // of those killed in Close
		switch {
		case !identifier.MatchString(id):
		case gone:
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, name)))
		case s.dead(id):
			if err := s.remove(s.read(id)); err != nil {
				errs = append(errs, err)
				continue
			}
			swept = append(swept, id)
		}
	}
	return swept, errors.Join(errs...)
}

// remove takes away what a dead supervisor left.
func (s *Store) remove(r Record) error {
	if r.Groups.ID == "" { // the record was not written, or cannot be read
		r.Groups = cgroup.Planned(r.ID)
	}
	if err := cgroup.Remove(r.Groups); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(s.dir, r.ID))
}

// names are those of all that is in the store's folder.
func (s *Store) names() ([]string, error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// read is the record of an id: no more than that where it cannot be read.
func (s *Store) read(id string) (r Record) {
	if b, err := os.ReadFile(filepath.Join(s.dir, id, "record")); err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if d.Decode(&r) != nil {
			r = Record{}
		}
	}
	r.ID = id
	return r
}

// dead tells whether the lock of an id is free.
func (s *Store) dead(id string) bool {
	f, err := lock(filepath.Join(s.dir, id, "lock"), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		f.Close()
		return true
	}
	for _, untold := range []error{unix.EWOULDBLOCK, fs.ErrPermission, unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, untold) {
			return false
		}
	}
	return true
}

// Number reserves the smallest free number below n for as long as the returned
// file is open: each running sandbox gets an identity of its own.
func (s *Store) Number(n int) (int, *os.File, error) {
	dir := filepath.Join(s.dir, "numbers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, nil, err
	}
	for i := range n {
		f, err := lock(filepath.Join(dir, strconv.Itoa(i)), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		return i, f, err
	}
	return 0, nil, fault.New(fault.Exhausted, "all %d identities are in use", n).
		WithHint("stop a sandbox: nacre ps")
}
