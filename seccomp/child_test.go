package seccomp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tests of the kernel run in a child: this test binary again, which loads
// the filter into all its threads and then does what the order says.

const orderVariable = "NACRE_SECCOMP_TEST_ORDER"

// order is what a child is to do under the filter of its options.
type order struct {
	Options Options
	Open    bool     // load no filter at all, for comparison
	Notify  bool     // load the one that reports
	Do      string   // "probe", "threads", "notify" or "exec"
	Calls   []raw    // to probe
	Command []string // to exec
}

// raw is one system call by number.
type raw struct {
	Number uintptr
	Args   [6]uint64
}

func TestMain(m *testing.M) {
	text := os.Getenv(orderVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	os.Unsetenv(orderVariable)
	var o order
	if err := errors.Join(json.Unmarshal([]byte(text), &o), o.carryOut()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	os.Exit(0)
}

func (o order) carryOut() error {
	runtime.LockOSThread()
	filter, err := build(o.Options)
	if err != nil {
		return err
	}
	if !o.Notify {
		filter = filter.Silent()
	}
	if o.Do == "notify" {
		return o.notify(filter)
	}
	if !o.Open {
		if _, err := install(filter, unix.SECCOMP_FILTER_FLAG_TSYNC); err != nil {
			return err
		}
	}
	switch o.Do {
	case "probe":
		return o.probe()
	case "threads":
		return printThreads()
	default:
		return syscall.Exec(o.Command[0], o.Command, os.Environ())
	}
}

// install loads a filter and returns what the kernel answers.
func install(f Filter, flags uintptr) (uintptr, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	r, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	if errno != 0 || flags == unix.SECCOMP_FILTER_FLAG_TSYNC && r != 0 {
		return 0, fmt.Errorf("seccomp answers %d, %v", r, errno)
	}
	return r, nil
}

func (o order) probe() error {
	var answers []unix.Errno
	for _, c := range o.Calls {
		a := c.Args
		_, _, errno := unix.RawSyscall6(c.Number, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		answers = append(answers, errno)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

// printThreads starts threads, some of them before the garbage collector's own
// under the filter, and prints each one's mode.
func printThreads() error {
	hold, up := make(chan bool), make(chan bool)
	for range 4 {
		go func() { runtime.LockOSThread(); up <- true; <-hold }()
	}
	for range 4 {
		<-up
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "Seccomp:") {
				fmt.Print(line)
			}
		}
	}
	return nil
}

// notice is struct seccomp_notif.
type notice struct {
	id         uint64
	pid, flags uint32
	number     uint32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// reply is struct seccomp_notif_resp.
type reply struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// notify is a supervisor and its client in one process: a thread makes the
// calls, this one is notified and answers what the table says.
func (o order) notify(filter Filter) error {
	table, err := judge(o.Options)
	if err != nil {
		return err
	}
	fd, err := install(filter, unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() { done <- o.probe() }()
	for answered := 0; answered < len(o.Calls); {
		var n notice
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		if errno == unix.ENOENT { // a signal of Go's own took the caller away: it comes again
			continue
		} else if errno != 0 {
			return fmt.Errorf("receive: %w", errno)
		}
		r := reply{id: n.id, errno: -int32(errnoOf(table.Judge(n.number, n.args)))}
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
		switch {
		case errno == unix.ENOENT: // as above
			continue
		case errno != 0:
			return fmt.Errorf("send: %w", errno)
		}
		fmt.Fprintln(os.Stderr, "notified of", table.Name(n.number))
		answered++
	}
	return <-done
}

func errnoOf(v Verdict) unix.Errno {
	if v.Errno == 0 {
		return unix.EPERM
	}
	return v.Errno
}

// result is what came of a child.
type result struct {
	out, err string
	status   syscall.WaitStatus
}

// run starts a child with an order in a folder, and waits for it.
func (o order) run(t *testing.T, dir string, environment ...string) result {
	t.Helper()
	if o.Options.Arch == "" {
		o.Options.Arch = Arch(runtime.GOARCH)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, self)
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = dir, &out, &errs, 5*time.Second
	c.Env = append([]string{orderVariable + "=" + string(text), "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C.UTF-8"}, environment...)
	err = c.Run()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), c.ProcessState.Sys().(syscall.WaitStatus)}
}
