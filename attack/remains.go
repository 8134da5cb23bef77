package attack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// A judge that is killed cannot take away what it planted. So its folder holds a lock,
// which is free once it is dead, and a list of what else there is.
const (
	lockName    = "lock"
	remainsName = "remains.json"
	sizeMost    = 64 << 10
)

// remains are what outlives a judge, besides its folder. What has a name has the run's
// number in it; what the kernel numbers is looked at before it is taken away.
type remains struct {
	Run    string   `json:"run"`
	PID    int      `json:"pid"`
	Places []string `json:"places,omitempty"` // folders that hold one of the run's
	Shm    *int     `json:"shm,omitempty"`
	Msg    *int     `json:"msg,omitempty"`
}

var runNumber = regexp.MustCompile(`^[0-9a-f]{24}$`)

// hold locks the folder for as long as this process lives. The lock is held before it
// has its name, so that nobody finds it free meanwhile.
func (w *world) hold() error {
	name := filepath.Join(w.base, lockName)
	f, err := os.OpenFile(name+".new", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w.closers = append([]func(){func() { f.Close() }}, w.closers...) // the last of all
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// remember writes down what is planted.
func (w *world) remember() error {
	name := filepath.Join(w.base, remainsName)
	data, err := json.Marshal(w.left)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name+".new", data, 0o600), os.Rename(name+".new", name))
}

// Sweep takes away what earlier judges of this user left when they were killed, and
// says what. A folder with a process that still works there is left to the next time.
func Sweep() (gone []string, err error) {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), "nacre-attack-*"))
	var errs []error
	for _, folder := range folders {
		lock := abandoned(folder)
		if lock == nil {
			continue
		}
		what, err := takeAway(folder)
		lock.Close()
		if err != nil {
			errs = append(errs, err)
		} else {
			gone = append(gone, what)
		}
	}
	if err = errors.Join(append(errs, err)...); err != nil {
		return gone, fault.Wrap(fault.Leftover, err, "what an earlier attack left cannot be removed")
	}
	return gone, nil
}

// abandoned is the lock of a folder whose judge is dead; nil where it lives, or where
// folder or lock are not this user's alone.
func abandoned(folder string) *os.File {
	var st unix.Stat_t
	if unix.Lstat(folder, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || !own(st) {
		return nil
	}
	f := openOwn(filepath.Join(folder, lockName), unix.O_RDWR)
	if f == nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return f
}

func own(st unix.Stat_t) bool {
	return int(st.Uid) == os.Geteuid() && st.Mode&0o022 == 0
}

// openOwn opens a file of this user's that nobody else can write.
func openOwn(path string, how int) *os.File {
	fd, err := unix.Open(path, how|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || !own(st) {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), path)
}

// takeAway removes what a dead judge left.
func takeAway(folder string) (what string, err error) {
	left, listed := readRemains(folder)
	base := filepath.Base(folder)
	if alive := processes(cmp.Or(left.Run, base), base+"/granted"); len(alive) > 0 {
		return "", fmt.Errorf("%s: process %d works there until it ends by itself; the next attack tries again (%.60s…)", folder, alive[0].pid, clean(alive[0].command))
	}
	if what = folder; listed {
		left.remove()
		what += fmt.Sprintf(", of process %d", left.PID)
	}
	clearImmutable(folder + "/granted/planted-immutable")
	return what, os.RemoveAll(folder)
}

// readRemains reads the list of a folder, which a judge that was killed early has not.
func readRemains(folder string) (left remains, ok bool) {
	f := openOwn(filepath.Join(folder, remainsName), unix.O_RDONLY)
	if f == nil {
		return left, false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, sizeMost))
	if err != nil || json.Unmarshal(data, &left) != nil || !runNumber.MatchString(left.Run) {
		return remains{}, false
	}
	return left, true
}

// remove takes away what has the run's number in its name, and what the kernel says
// that the judge made. What is not there any more is well.
func (r remains) remove() {
	for _, place := range r.Places {
		_ = os.RemoveAll(hiddenIn(place, r.Run))
	}
	_ = os.Remove(devShm(r.Run))
	_ = removeQueue(queueName(r.Run))
	removeKey(queueName(r.Run))
	if r.Shm != nil {
		removeShm(*r.Shm, r.PID)
	}
	if r.Msg != nil {
		removeMsg(*r.Msg, r.PID)
	}
}

// hiddenIn is the folder of a run in a place of the host's.
func hiddenIn(place, run string) string { return filepath.Join(place, ".nacre-attack-"+run) }

// devShm is the shared memory object of a run.
func devShm(run string) string { return "/dev/shm/nacre-attack-canary-" + run }

// queueName is what a run's message queue and key are called.
func queueName(run string) string { return "nacre-attack-" + run }
