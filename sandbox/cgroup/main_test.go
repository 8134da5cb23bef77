package cgroup

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre"
)

// The test binary is its own hostile program: with role set it plays one.
const role = "NACRE_CGROUP_TEST_ROLE"

func TestMain(m *testing.M) {
	name, arg, _ := strings.Cut(os.Getenv(role), "=")
	n, _ := strconv.Atoi(arg)
	if name == "" {
		os.Exit(m.Run())
	}
	bufio.NewReader(os.Stdin).ReadString('\n') // until it has been put into its group
	switch name {
	case "allocate":
		allocate(n)
	case "sleep":
		time.Sleep(time.Minute)
	case "burn":
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		}
	case "count":
		for n := counter(os.Getenv("NACRE_CGROUP_TEST_COUNT")); ; {
			n.Add(1)
		}
	case "fork":
		fork(n)
	case "storm":
		storm()
	case "queue":
		queue(n)
	case "owner":
		owner()
	case "maker":
		maker()
	}
}

// allocate touches n MiB of memory and keeps it.
func allocate(n int) {
	b, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		os.Exit(3)
	}
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	fmt.Println("allocated")
	time.Sleep(time.Minute)
}

// counter is a number that processes share by a file.
func counter(name string) *atomic.Int64 {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Truncate(4096)
	}
	if err != nil {
		panic(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*atomic.Int64)(unsafe.Pointer(&b[0]))
}

// fork starts sleepers until the kernel refuses, at most n.
func fork(n int) {
	made := 0
	for ; made < n; made++ {
		if pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); errno != 0 {
			fmt.Println("refused", made, errno)
			time.Sleep(time.Minute)
		} else if pid == 0 {
			pause()
		}
	}
	fmt.Println("made", made)
	time.Sleep(time.Minute)
}

// storm replaces itself for ever: every process forks and its parent ends.
func storm() {
	syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0) // two lines of them
	for {
		if pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); pid != 0 && int(pid) > 0 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
}

func pause() {
	for {
		syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// queue fills n connections with itself until they take no more. Nobody reads.
func queue(n int) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		os.Exit(3)
	}
	total, keep, block := 0, []net.Conn{}, make([]byte, 64<<10)
	for range n {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			break
		}
		other, _ := l.Accept()
		keep = append(keep, c, other)
		for err == nil {
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			var wrote int
			wrote, err = c.Write(block)
			total += wrote
		}
	}
	fmt.Println(total)
	time.Sleep(time.Minute)
	runtime.KeepAlive(keep)
}

// owner makes a group with a sleeper in it, says so, and waits to be killed.
func owner() {
	g, err := New(context.Background(), os.Getenv("NACRE_CGROUP_TEST_ID"), small)
	if err == nil {
		err = g.Settled()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c := exec.Command("/bin/sleep", "60")
	if err := c.Start(); err == nil {
		_ = g.AddAgent(c.Process.Pid) // the test sees whether it is there
	}
	json.NewEncoder(os.Stdout).Encode(g.state)
	time.Sleep(time.Minute)
}

// maker says what it is going to make, makes it, and says how long that took.
// It kills itself at the given time of that: nobody else could so exactly.
func maker() {
	id := os.Getenv("NACRE_CGROUP_TEST_ID")
	json.NewEncoder(os.Stdout).Encode(Planned(id))
	begun := time.Now()
	if until, err := time.ParseDuration(os.Getenv("NACRE_CGROUP_TEST_KILL")); err == nil {
		go func() {
			time.Sleep(until - 2*time.Millisecond) // which may be late by one
			for time.Since(begun) < until {
			}
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}()
	}
	g, err := New(context.Background(), id, small)
	if err == nil {
		err = g.Settled()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(time.Since(begun))
	time.Sleep(time.Minute)
}

var small = nacre.Limits{Memory: 64 << 20, CPUs: 0.25, Processes: 32, Time: time.Minute}

func newID() string {
	var b [6]byte
	rand.Read(b[:])
	return "t" + hex.EncodeToString(b[:])
}

// need skips where this user on this machine can have no groups; that case has
// a test of its own.
func need(t testing.TB) Layout {
	t.Helper()
	l := Detect()
	if err := l.Problem(); err != nil {
		t.Skipf("needs control groups that this user can make: %v", err)
	}
	return l
}

func group(t testing.TB, l nacre.Limits) *Group {
	t.Helper()
	need(t)
	g, err := New(context.Background(), newID(), l)
	if err == nil {
		err = g.Settled()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Destroy(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// child is a hostile program that waits to be let go.
type child struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func start(t testing.TB, what string, attr *syscall.SysProcAttr, env ...string) child {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env, c.SysProcAttr, c.Stderr = append(env, role+"="+what), attr, os.Stderr
	in, _ := c.StdinPipe()
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return child{c, in, bufio.NewScanner(out)}
}

func (c child) release() { io.WriteString(c.in, "\n") }

func (c child) line() string {
	c.out.Scan()
	return c.out.Text()
}

func inAgent(t testing.TB, g *Group, what string) child {
	t.Helper()
	c := start(t, what, nil)
	if err := g.AddAgent(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	c.release()
	return c
}

// within waits for something that must become so soon; the time is generous
// because the machine is shared, and no test measures it.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
