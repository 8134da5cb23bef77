package launch

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnhurried: every thread of a gateway may be woken late, and none of those that
// started it.
func TestUnhurried(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: others are not told how late a thread may be woken")
	}
	w := newWorld(t)
	w.grant("api.test", w.serve(t, echo, "api.test"), nil)
	box, _ := w.start("sleep", "60")
	defer func() { _ = box.Stop(0) }()
	for pid, unhurried := range map[int]bool{gatewayOf(t): true, os.Getpid(): false} {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("%d threads: %v", len(tasks), err)
		}
		for _, task := range tasks {
			text, err := os.ReadFile("/proc/" + task.Name() + "/timerslack_ns")
			if os.IsNotExist(err) || errors.Is(err, unix.ESRCH) {
				continue // it has ended
			}
			if found := strings.TrimSpace(string(text)); err != nil || (found == slack) != unhurried {
				t.Errorf("thread %s of %d: %s ns, %v", task.Name(), pid, found, err)
			}
		}
	}
}
