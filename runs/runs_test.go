package runs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

func store(t *testing.T) *Store {
	t.Helper()
	s, err := Open(os.Geteuid(), filepath.Join(t.TempDir(), strings.Repeat("long", 40)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Store, id, name string) *Entry {
	t.Helper()
	e, err := s.Add(Record{ID: id, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFind(t *testing.T) {
	s := store(t)
	defer add(t, s, "abcdefgh", "one").Close()
	defer add(t, s, "abcdzzzz", "").Close()
	for name, want := range map[string]string{"one": "abcdefgh", "abcde": "abcdefgh", "abcdzzzz": "abcdzzzz", "abcd": "", "": "", "none": ""} {
		r, err := s.Find(name)
		if r.ID != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, r.ID, err)
		}
	}
	if _, err := s.Add(Record{ID: "yyyyyyyy", Name: "one"}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a name that is taken: %v", err)
	}
}

// TestCloseWhileOthersLook: a folder goes away whole, whatever others lock and
// listen in it meanwhile.
func TestCloseWhileOthersLook(t *testing.T) {
	s := store(t)
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				list, err := s.List()
				if err != nil {
					t.Error(err)
				}
				for _, r := range list {
					if short, done, err := Short(s.Socket(r)); err == nil {
						if l, err := net.Listen("unixpacket", short); err == nil {
							l.(*net.UnixListener).SetUnlinkOnClose(false)
							l.Close()
						}
						done()
					}
				}
			}
		})
	}
	defer others.Wait()
	defer close(stop)
	for i := range 200 {
		if err := add(t, s, fmt.Sprintf("%08d", i), "").Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir(), "*0*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestSweep: what the dead leave is taken away, half removed or whole; what
// lives stays.
func TestSweep(t *testing.T) {
	s := store(t)
	alive := add(t, s, "aliveone", "")
	defer alive.Close()
	dead := add(t, s, "deadones", "")
	dead.lock.Close() // as the kernel does for a process that ends
	if err := os.Mkdir(filepath.Join(s.Dir(), ".halfgone"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Store{dir: filepath.Join(s.Dir(), "nowhere")}).Sweep(); fault.KindOf(err) != fault.Leftover {
		t.Errorf("of a folder that is not there: %v", err)
	}
	swept, err := s.Sweep()
	if err != nil || len(swept) != 1 || swept[0] != "deadones" {
		t.Errorf("swept %q, %v", swept, err)
	}
	for name, want := range map[string]bool{"aliveone": true, "deadones": false, ".halfgone": false} {
		if _, err := os.Stat(filepath.Join(s.Dir(), name)); (err == nil) != want {
			t.Errorf("%s: %v, want there: %v", name, err, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, link} {
		if _, err := Open(os.Geteuid(), dir); fault.KindOf(err) != fault.Tampered {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := Open(os.Geteuid()+1, t.TempDir()); fault.KindOf(err) != fault.Tampered {
		t.Errorf("another's: %v", err)
	}
}

// TestNumber: no two at once.
func TestNumber(t *testing.T) {
	s := store(t)
	first, held, err := s.Number(2)
	if err != nil {
		t.Fatal(err)
	}
	second, held2, err := s.Number(2)
	if err != nil || second == first {
		t.Errorf("%d and %d, %v", first, second, err)
	}
	defer held2.Close()
	if _, _, err := s.Number(2); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("a third of two: %v", err)
	}
	held.Close()
	if again, held, err := s.Number(2); err != nil || again != first {
		t.Errorf("the freed one: %d, %v", again, err)
	} else {
		held.Close()
	}
}

// TestUntoldIsAlive: who cannot look whether a lock is free takes nobody for dead.
func TestUntoldIsAlive(t *testing.T) {
	s := store(t)
	e, err := s.Add(Record{ID: "abcdefgh"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	dead := s.dead("abcdefgh")
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if dead {
		t.Error("without a descriptor left, a running sandbox is taken for dead")
	}
}
