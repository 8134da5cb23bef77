package spawn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestThreadsAreHeard: a thread that starts a process can be told what
// syscall.AllThreadsSyscall tells each. Where it cannot, the whole process
// stands still for ever; so this happens in another one.
func TestThreadsAreHeard(t *testing.T) {
	const role = "NACRE_SPAWN_TEST"
	if os.Getenv(role) != "" {
		startAndTell(t)
		return
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errors.Is(e, syscall.ENOTSUP) {
		t.Skip("needs a program without C: the race detector brings some")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestThreadsAreHeard$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), role+"=1")
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// startAndTell starts processes on some threads and tells all of them something
// meanwhile.
func startAndTell(t *testing.T) {
	const starters, rounds = 4, 300
	ended := make(chan error, starters)
	for range starters {
		go func() {
			var err error
			for range rounds {
				var p Program
				p.Call("end", unix.SYS_EXIT_GROUP, 0)
				child, e := p.Start(0, -1)
				if e == nil {
					e = child.Wait()
				}
				err = errors.Join(err, e)
			}
			ended <- err
		}()
	}
	for left := starters; left > 0; {
		select {
		case err := <-ended:
			if left--; err != nil {
				t.Error(err)
			}
		default:
			if _, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); e != 0 {
				t.Fatal(fmt.Errorf("telling: %w", e))
			}
		}
	}
}
