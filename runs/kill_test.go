package runs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// patience is a bound for what ends as soon as it can.
const patience = time.Minute

// TestKill: a supervisor that is stopped, and so answers nothing, is killed; then what
// it leaves can be swept.
func TestKill(t *testing.T) {
	s := store(t)
	pid := holder(t, s, "abcdefgh")
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(Record{ID: "abcdefgh", Supervisor: pid}, patience); err != nil {
		t.Error(err)
	}
	if !s.dead("abcdefgh") {
		t.Error("the lock is still held")
	}
}

// TestKillNobodyElse: whoever has the number of a supervisor but not its run is left alone.
func TestKillNobodyElse(t *testing.T) {
	s := store(t)
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	defer add(t, s, "abcdefgh", "").Close() // by this process
	holder(t, s, "ijklmnop")
	for name, r := range map[string]Record{
		"without a lock":       {ID: "abcdefgh", Supervisor: other.Process.Pid},
		"of another run":       {ID: "ijklmnop", Supervisor: os.Getpid()},
		"of no run":            {ID: "qrstuvwx", Supervisor: other.Process.Pid},
		"no process":           {ID: "abcdefgh", Supervisor: 1 << 30},
		"without a supervisor": {ID: "abcdefgh"},
		"a group of processes": {ID: "abcdefgh", Supervisor: -1},
	} {
		if err := s.Kill(r, patience); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := other.Process.Signal(unix.Signal(0)); err != nil {
		t.Error(err)
	}
}

// holder is a process that holds the lock of a run.
func holder(t *testing.T, s *Store, id string) (pid int) {
	t.Helper()
	lock, ready := filepath.Join(s.Dir(), id, "lock"), filepath.Join(t.TempDir(), "ready")
	if err := os.Mkdir(filepath.Dir(lock), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHolder$")
	cmd.Env = append(os.Environ(), "NACRE_HOLDER="+lock, "NACRE_READY="+ready)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := os.ReadFile(ready); err != nil { // until it closes that, with the lock in its hands
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// TestHolder is no test but the process that holder starts.
func TestHolder(t *testing.T) {
	path := os.Getenv("NACRE_HOLDER")
	if path == "" {
		return
	}
	f, err := lock(path, unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("NACRE_READY"), nil, 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * patience)
	f.Close()
}
