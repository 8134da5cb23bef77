package attack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// judgeVariable turns this test's program into a judge that plants, also in the place
// that it names, and waits to be killed.
const judgeVariable = "NACRE_TEST_JUDGE"

func judgeUntilKilled() {
	place := os.Getenv(judgeVariable)
	os.Unsetenv(judgeVariable)                                                                                // or what it starts would be judges too
	w, err := plant(context.Background(), Options{Program: "/bin/true", Safe: true, Places: []string{place}}) // a victim that is gone at once
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(struct {
		Config wire.Config
		Left   remains
		Base   string
	}{w.config, w.left, w.base})
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed, or whoever started it is
	w.close()
	os.Exit(1)
}

// planted is what a judge that lives has planted, and how to kill it.
type planted struct {
	Config wire.Config
	Left   remains
	Base   string
	kill   func()
}

func startJudge(t *testing.T, place string) (p planted) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), judgeVariable+"="+place)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		in.Close()
	}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || json.Unmarshal([]byte(line), &p) != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return p
}

// there lists what of a judge's is still on the machine.
func (p planted) there(place string) (list []string) {
	for _, path := range []string{p.Base, devShm(p.Config.Run), hiddenIn(place, p.Config.Run)} {
		if anyExists([]string{path}) {
			list = append(list, path)
		}
	}
	if p.Left.Shm != nil {
		if _, err := unix.SysvShmCtl(*p.Left.Shm, unix.IPC_STAT, new(unix.SysvShmDesc)); err == nil {
			list = append(list, "shared memory")
		}
	}
	if p.Left.Msg != nil && hasMsg(*p.Left.Msg) {
		list = append(list, "messages")
	}
	if removeQueue(p.Config.Queue) == nil { // there is no gentler way to ask
		list = append(list, "queue")
	}
	if _, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", p.Config.Key, 0); err == nil {
		list = append(list, "key")
	}
	return list
}

// hasMsg looks into the kernel's list of message queues.
func hasMsg(id int) bool {
	data, _ := os.ReadFile("/proc/sysvipc/msg")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == fmt.Sprint(id) {
			return true
		}
	}
	return false
}

// TestKilledJudge: what a killed judge leaves goes with the next, and nothing of one
// that lives.
func TestKilledJudge(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	place := t.TempDir()
	dead, alive := startJudge(t, place), startJudge(t, place)
	if dead.Left.Shm == nil || dead.Left.Msg == nil {
		t.Fatalf("planted only %+v", dead.Left)
	}
	if gone, err := Sweep(); len(gone) > 0 || err != nil {
		t.Fatalf("of judges that live: %q, %v", gone, err)
	}
	dead.kill()
	gone, err := Sweep()
	if want := fmt.Sprintf("%s, of process %d", dead.Base, dead.Left.PID); err != nil || len(gone) != 1 || gone[0] != want {
		t.Errorf("%q, %v, want %q", gone, err, want)
	}
	if left := dead.there(place); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
	if left := alive.there(place); len(left) < 5 {
		t.Errorf("of the living there is only %q", left)
	}
	alive.kill()
	if gone, err := Sweep(); len(gone) != 1 || err != nil {
		t.Errorf("at the end: %q, %v", gone, err)
	}
}

// TestSweepIsCareful: a list that somebody has forged takes away nothing of others, and
// a folder that is nobody's for sure stays.
func TestSweepIsCareful(t *testing.T) {
	temp, place := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	other := startJudge(t, place) // its memory and messages are another process's than the list says
	const run = "0123456789abcdef01234567"
	forge := func(name string, mode os.FileMode, lock bool, left remains) string {
		folder := filepath.Join(temp, "nacre-attack-"+name)
		data, err := json.Marshal(left)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(folder, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{remainsName: data}
		if lock {
			files[lockName] = nil
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return folder
	}
	numbers := forge("numbers", 0o755, true, remains{Run: run, PID: os.Getpid(), Shm: other.Left.Shm, Msg: other.Left.Msg})
	climbs := forge("climbs", 0o755, true, remains{Run: "/../../" + filepath.Base(place), Places: []string{place}})
	unlocked, open := forge("unlocked", 0o755, false, remains{Run: run}), forge("open", 0o777, true, remains{Run: run})
	if err := os.Symlink(place, filepath.Join(temp, "nacre-attack-link")); err != nil {
		t.Fatal(err)
	}
	gone, err := Sweep()
	if err != nil || len(gone) != 2 || anyExists([]string{numbers, climbs}) {
		t.Errorf("%q, %v", gone, err)
	}
	for _, path := range []string{unlocked, open, place, hiddenIn(place, other.Config.Run)} {
		if !anyExists([]string{path}) {
			t.Errorf("%s is gone", path)
		}
	}
	if left := strings.Join(other.there(place), " "); !strings.Contains(left, "shared memory") || !strings.Contains(left, "messages") {
		t.Errorf("of another judge there is only %s", left)
	}
	other.kill()
	if _, err := Sweep(); err != nil {
		t.Error(err)
	}
}
