package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"nacre"
)

// heardBox tells of the signals that it is sent.
type heardBox struct{ nacre.Sandbox }

func (heardBox) Signal(number int) error {
	fmt.Println("the box hears", number)
	return nil
}

// TestSecondInterrupt: a start that does not hear that it is cancelled ends with the
// next Ctrl-C; one that was through by then passes it on.
func TestSecondInterrupt(t *testing.T) {
	const variable = "NACRE_TEST_INTERRUPT"
	if through := os.Getenv(variable); through != "" { // nacre run, starting
		var s *signals
		s = watchSignals(func() {
			fmt.Println("cancelled")
			if through == "yes" {
				go s.forward(heardBox{})
			}
		})
		fmt.Println("starting")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	for through, want := range map[string][]string{"no": {"starting", "cancelled"}, "yes": {"starting", "cancelled", "the box hears 2", "the box hears 3"}} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestSecondInterrupt$")
		cmd.Env = append(os.Environ(), variable+"="+through)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		next := map[string]syscall.Signal{"starting": syscall.SIGINT, "cancelled": syscall.SIGINT, "the box hears 2": syscall.SIGQUIT}
		if through == "yes" {
			delete(next, "cancelled") // else it may come before the box
		}
		for _, line := range want {
			if !lines.Scan() || lines.Text() != line {
				t.Fatalf("%s: %q, want %q", through, lines.Text(), line)
			}
			if number, ok := next[line]; ok {
				if err := cmd.Process.Signal(number); err != nil {
					t.Fatal(err)
				}
			}
		}
		if through == "yes" {
			in.Close()
		}
		_ = cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if died := status.Signaled() && status.Signal() == syscall.SIGINT; died != (through == "no") {
			t.Errorf("%s: %v", through, cmd.ProcessState)
		}
	}
}

// sentBox hands on the signals that it is sent.
type sentBox struct {
	nacre.Sandbox
	sent chan int
}

func (b sentBox) Signal(number int) error {
	b.sent <- number
	return nil
}

// TestSignalBeforeItRuns: what is the program's affair waits for it, and cancels nothing.
func TestSignalBeforeItRuns(t *testing.T) {
	s := watchSignals(func() { t.Error("the start was cancelled") })
	defer s.close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	b := sentBox{sent: make(chan int)}
	s.forward(b)
	if got := <-b.sent; syscall.Signal(got) != syscall.SIGUSR1 {
		t.Errorf("signal %d", got)
	}
}
