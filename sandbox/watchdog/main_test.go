package watchdog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
)

// The test binary is its own hostile program: with role set it plays one.
const role = "NACRE_WATCHDOG_TEST_ROLE"

func TestMain(m *testing.M) {
	name, arg, _ := strings.Cut(os.Getenv(role), "=")
	n, _ := strconv.Atoi(arg)
	if name == "" {
		os.Exit(m.Run())
	}
	if name == "watch" {
		watch(os.Args[1])
		return
	}
	bufio.NewReader(os.Stdin).ReadString('\n') // until its parent says so
	if os.Getpid() == 1 {
		if err := ownProc(); err != nil {
			fmt.Fprintln(os.Stderr, "needs a /proc of its own:", err)
			os.Exit(4)
		}
		fmt.Println("ready")
	}
	switch name {
	case "allocate":
		allocate(n)
	case "sleep":
		time.Sleep(time.Minute)
	case "burn":
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		}
	case "hold":
		hold(n)
	case "init of":
		c := exec.Command(arg)
		c.Env, c.Stdin = []string{role + "=allocate=200"}, strings.NewReader("\n")
		c.Run()
	case "fork":
		fork(n)
	case "reaped storm":
		if pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); pid == 0 {
			storm()
		}
		for { // as every sandbox's init does
			syscall.Wait4(-1, nil, 0, nil)
		}
	case "threadless":
		if os.Getpid() != 1 {
			threadless(n)
		}
		c := exec.Command("/proc/self/exe") // init keeps its threads
		c.Env, c.Stdin = os.Environ(), strings.NewReader("\n")
		c.Run()
	}
}

// ownProc mounts a /proc that shows this process's namespace, as every sandbox
// has one.
func ownProc() error {
	return errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, ""))
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

// hold keeps n times 16 MiB of shared memory out of every page table.
func hold(n int) {
	for range n {
		b, err := unix.Mmap(-1, 0, 16<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
		if err != nil {
			os.Exit(3)
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		unix.Madvise(b, unix.MADV_DONTNEED)
	}
	time.Sleep(time.Minute)
}

// watch is a plain user's supervisor of a sandbox that runs the program.
func watch(program string) {
	c := exec.Command("/proc/self/exe")
	c.Env, c.Stdin, c.Stderr = []string{role + "=init of=" + program}, strings.NewReader("\n"), os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}}
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	bufio.NewReader(out).ReadString('\n') // it has its own /proc
	w := &Watchdog{Init: c.Process.Pid, Every: 20 * time.Millisecond,
		Limits: nacre.Limits{Memory: 64 << 30, CPUs: 10, Processes: 1000, Time: time.Minute}}
	w.Kill = func(reason string) { fmt.Println(reason); c.Process.Kill() }
	held, err := w.prepare()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer held.Close()
	for hidden := false; !hidden; time.Sleep(5 * time.Millisecond) { // until it runs
		w.sample()
		for _, p := range w.seen {
			_, err := os.ReadFile(p.dir + "/maps")
			hidden = hidden || errors.Is(err, fs.ErrPermission) && p.resident > 200<<20
		}
	}
	fmt.Println("its maps are closed to us")
	w.Limits.Memory = 64 << 20
	if err := w.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	c.Wait()
}

// threadless ends its first thread and allocates in another, so that /proc
// shows a zombie without memory.
func threadless(n int) {
	runtime.LockOSThread()
	go func() { time.Sleep(50 * time.Millisecond); allocate(n) }()
	syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
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

// child is a hostile program that waits to be let go.
type child struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func start(t testing.TB, what string, attr *syscall.SysProcAttr) child {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env, c.SysProcAttr, c.Stderr = []string{role + "=" + what}, attr, os.Stderr
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
