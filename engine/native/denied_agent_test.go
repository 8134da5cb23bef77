package native

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
)

// agentWord makes this test binary, inside a sandbox, one of the agents.
const agentWord = "be-agent"

// agents are programs that are denied things, by what they do.
var agents = map[string]func() int{
	"flood":   func() int { return flood(flooded()) },
	"endless": func() int { return flood(1 << 40) },
	"die":     dieDenied,
	"vfork":   vforkDenied,
	"once":    once,
	"names":   hostileNames,
	"listen":  ownListener,
	"measure": measure,
}

// agent is a plan for one of them, in a folder with this program.
func agent(t testing.TB, name string) nacre.Plan {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "agent"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return granted(t, dir, nacre.Read, "./agent", agentWord, name)
}

// denied makes one call that the filter denies and says what it answers.
func denied() error {
	_, _, e := unix.RawSyscall(unix.SYS_BPF, 0, 0, 0)
	return e
}

// flood makes as many denied calls, from eight threads.
func flood(calls int) int {
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			for range calls / 8 {
				// Not raw: the garbage collector must not wait for a flood.
				if _, _, e := unix.Syscall(unix.SYS_BPF, 0, 0, 0); e != unix.EPERM {
					errs <- e
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		fmt.Println("answered with", err)
		return 1
	}
	fmt.Println("all denied")
	return 0
}

func once() int {
	fmt.Println(denied())
	return 0
}

// dieDenied kills programs of its own while they are flooding.
func dieDenied() int {
	for range 40 {
		c := exec.Command("/proc/self/exe", agentWord, "endless")
		if err := c.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		for range 100 {
			_ = denied()
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	return once()
}

// vforkDenied has a child denied something before its execve, while its parent
// waits for that.
func vforkDenied() int {
	for range 50 {
		c := exec.Command("/bin/true")
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: "/"}
		if err := c.Run(); !errors.Is(err, unix.EPERM) {
			fmt.Println("answered with", err)
			return 1
		}
	}
	fmt.Println("all denied")
	return 0
}

// hostile are names that a terminal, a line or a table would trip over.
var hostile = []string{"a\nb", "a\x1b[31mb", "a\tb", "\u202egnp.exe", "a\xffb", "a\"}b", "a\\nb", "x (deleted)", "%s%n"}

// many is more names than are told apart.
const many = 12

// hostileNames runs under those names and many others.
func hostileNames() int {
	names := append([]string{}, hostile...)
	for i := range many {
		names = append(names, fmt.Sprintf("program %03d", i))
	}
	for i, name := range names {
		path := filepath.Join("/tmp", name)
		if i == 0 {
			program, err := os.ReadFile("/proc/self/exe")
			if err != nil {
				fmt.Println(err)
				return 1
			}
			if err := os.WriteFile("/tmp/original", program, 0o755); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		if err := os.Rename(map[bool]string{true: "/tmp/original", false: filepath.Join("/tmp", names[max(0, i-1)])}[i == 0], path); err != nil {
			fmt.Println(err)
			return 1
		}
		if out, err := exec.Command(path, agentWord, "once").CombinedOutput(); err != nil || string(out) != "operation not permitted\n" {
			fmt.Printf("%q: %s %v\n", name, out, err)
			return 1
		}
	}
	fmt.Println("all denied")
	return 0
}

// ownListener tries to become the one who answers.
func ownListener() int {
	allow := []unix.SockFilter{{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}}
	if _, err := loadFilter(allow, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER); err != unix.EPERM {
		fmt.Println("a listener: answered with", err)
		return 1
	}
	// A filter of its own that has a call decided by a listener that is not there.
	mine := []unix.SockFilter{{Code: unix.BPF_RET, K: unix.SECCOMP_RET_USER_NOTIF}}
	mine = append([]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jt: 0, Jf: 1},
	}, append(mine, allow...)...)
	if _, err := loadFilter(mine, unix.SECCOMP_FILTER_FLAG_TSYNC); err != unix.Errno(0) {
		fmt.Println("a filter: answered with", err)
		return 1
	}
	if err := denied(); err != unix.ENOSYS {
		fmt.Println("bpf: answered with", err)
		return 1
	}
	fmt.Println("all denied")
	return 0
}

// measure prints nanoseconds for each denied call, each that is refused
// unreported, and each allowed one: the best of some rounds.
func measure() int {
	for _, call := range []uintptr{unix.SYS_BPF, unix.SYS_OPENAT2, unix.SYS_GETPPID} {
		best := time.Hour
		for range 10 {
			start := time.Now()
			for range measured {
				_, _, _ = unix.RawSyscall(call, 0, 0, 0)
			}
			best = min(best, time.Since(start))
		}
		fmt.Println(best.Nanoseconds() / measured)
	}
	return 0
}

const measured = 2000
