package lockdown_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/gateway"
	"nacre/sandbox/lockdown"
)

// prey is what the test has put outside for the confined process to reach.
type prey struct {
	File, Socket, Abstract string // a file and sockets that are listened at
	Victim                 int    // a process of the same user's
	TCP, TCP6              string // servers that may be dialled; "": there is no IPv6
	Inherited              int    // a file that its starter has open, and that executing does not close
}

// Descriptors of the confined process.
const (
	reportFD = 3 + iota
	preyFD
	listenerFD
)

// The ways in which this program runs itself.
const (
	asVictim = "victim" // is there until its standard input ends
	asFree   = "free"   // attacks unconfined, which shows that the attacks are real
	asBegun  = "begun"  // attacks after Start alone
	asWhole  = "whole"  // attacks after Start and Enter
	asNobody = "nobody" // ends at once
)

// attack is one thing that a taken-over gateway would try. It fails, or there is
// a hole.
type attack struct {
	name string
	// free: it works unconfined; begun: Start alone stops it; from which Landlock
	// ABI on, where it takes that.
	free, begun bool
	abi         int
	do          func(p prey) error
}

func raw(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, e := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return e
	}
	return nil
}

// opened closes what was opened after all.
func opened(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func socket(family, kind, protocol int) error { return opened(unix.Socket(family, kind, protocol)) }

func dialUnix(name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: name})
}

// listenTCP dials as far as to a socket, which is permitted, and has it listen.
func listenTCP(steps ...func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	for _, step := range steps {
		if err == nil {
			err = step(fd)
		}
	}
	unix.Close(fd)
	return err
}

func bind(fd int) error   { return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}) }
func listen(fd int) error { return unix.Listen(fd, 1) }

// fork starts a process, which ends at once.
func fork(flags uintptr) error {
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	switch {
	case e != 0:
		return e
	case pid == 0:
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
	return nil
}

// executeMemory puts a program into memory and executes that.
func executeMemory(prey) error {
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _ = unix.Write(fd, []byte("no program"))
	empty := []byte{0}
	return executed(raw(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), 0, 0, unix.AT_EMPTY_PATH))
}

// executed is what became of executing a text: that it is no program is found out
// last.
func executed(err error) error {
	if errors.Is(err, unix.ENOEXEC) {
		return nil
	}
	return err
}

func code(prey) error {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err == nil {
		return unix.Munmap(b)
	}
	return err
}

func protect(prey) error {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil // that is needed: not being able to is no success
	}
	defer func() { _ = unix.Munmap(b) }()
	return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}

func trace(p prey) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceAttach(p.Victim); err != nil {
		return err
	}
	_, _ = unix.Wait4(p.Victim, nil, unix.WALL, nil)
	return unix.PtraceDetach(p.Victim)
}

func look(p prey) error {
	var b [8]byte
	local := []unix.Iovec{{Base: &b[0], Len: 8}}
	_, err := unix.ProcessVMReadv(p.Victim, local, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
	return err
}

func signalled(p prey, number uintptr) error { return raw(number, uintptr(p.Victim), 0) }

// attacks: what the issue names, and what its like is.
var attacks = []attack{
	{"open a file", true, true, 0, func(p prey) error { return opened(unix.Open(p.File, unix.O_RDONLY, 0)) }},
	{"open the root", true, true, 0, func(prey) error { return opened(unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)) }},
	{"open its own program", true, true, 0, func(prey) error { return opened(unix.Open("/proc/self/exe", unix.O_RDONLY, 0)) }},
	{"read what its starter has open", true, true, 0, func(p prey) error { _, err := unix.Read(p.Inherited, make([]byte, 1)); return err }},
	{"look for a file", true, true, 0, func(p prey) error { return unix.Access(p.File, unix.F_OK) }},
	{"make a file", true, true, 0, func(p prey) error { return opened(unix.Open("/tmp", unix.O_RDWR|unix.O_TMPFILE, 0o600)) }},
	{"execute a program", true, true, 0, func(p prey) error { return executed(unix.Exec(p.File, []string{"x"}, nil)) }},
	{"execute memory", true, false, 0, executeMemory},
	{"make a memory file", true, false, 0, func(prey) error { return opened(unix.MemfdCreate("x", 0)) }},
	{"map code", true, false, 0, code},
	{"make memory code", true, false, 0, protect},
	{"fork", true, false, 0, func(prey) error { return fork(0) }},
	{"vfork", true, false, 0, func(prey) error { return fork(unix.CLONE_VFORK) }},
	{"connect to a Unix socket", true, true, 0, func(p prey) error { return dialUnix(p.Socket) }},
	{"connect to an abstract Unix socket", true, true, 6, func(p prey) error { return dialUnix(p.Abstract) }},
	{"a Unix socket", true, false, 0, func(prey) error { return socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0) }},
	{"a pair of Unix sockets", true, false, 0, func(prey) error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			unix.Close(pair[0])
			unix.Close(pair[1])
		}
		return err
	}},
	{"NETLINK_ROUTE", true, false, 0, func(prey) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE) }},
	{"NETLINK_NETFILTER", true, false, 0, func(prey) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER) }},
	{"AF_PACKET", false, true, 0, func(prey) error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
	{"a raw socket", false, true, 0, func(prey) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"a ping socket", false, false, 0, func(prey) error { return socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP) }},
	{"AF_VSOCK", false, false, 0, func(prey) error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},
	{"AF_ALG", false, false, 0, func(prey) error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) }},
	{"bind", true, true, 4, func(prey) error { return listenTCP(bind) }},
	{"listen", true, false, 0, func(prey) error { return listenTCP(listen) }},
	{"ptrace", false, true, 0, trace},
	{"process_vm_readv", false, true, 0, look},
	{"kill", true, true, 0, func(p prey) error { return signalled(p, unix.SYS_KILL) }},
	{"kill everything", false, false, 0, func(prey) error { return raw(unix.SYS_KILL, ^uintptr(0)) }},
	{"tkill", true, true, 0, func(p prey) error { return signalled(p, unix.SYS_TKILL) }},
	{"tgkill", true, true, 0, func(p prey) error { return raw(unix.SYS_TGKILL, uintptr(p.Victim), uintptr(p.Victim), 0) }},
	{"signals of a descriptor", true, true, 0, func(p prey) error {
		return raw(unix.SYS_FCNTL, listenerFD, unix.F_SETOWN, uintptr(p.Victim))
	}},
	{"pidfd_open", true, true, 0, func(p prey) error { return opened(unix.PidfdOpen(p.Victim, 0)) }},
	{"limits of another", false, true, 0, func(p prey) error {
		return raw(unix.SYS_PRLIMIT64, uintptr(p.Victim), unix.RLIMIT_NOFILE, 0, uintptr(unsafe.Pointer(&unix.Rlimit{})))
	}},
	{"setns", false, true, 0, func(prey) error { return unix.Setns(listenerFD, 0) }},
	{"unshare", false, true, 0, func(prey) error { return unix.Unshare(unix.CLONE_NEWNS) }},
	{"a user namespace", false, true, 0, func(prey) error { return fork(unix.CLONE_NEWUSER) }},
	{"mount", false, true, 0, func(prey) error { return unix.Mount("none", "/", "tmpfs", 0, "") }},
	{"fsopen", false, true, 0, func(prey) error { return opened(unix.Fsopen("tmpfs", 0)) }},
	{"chroot", false, true, 0, func(prey) error { return unix.Chroot(".") }},
	{"set its user", false, true, 0, func(prey) error { return raw(unix.SYS_SETUID, 0) }},
	{"host name", false, true, 0, func(prey) error { return unix.Sethostname([]byte("x")) }},
	{"be dumpable", true, false, 0, func(prey) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }},
	{"another filter", false, false, 0, func(prey) error { return raw(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0) }},
	{"io_uring", false, false, 0, func(prey) error {
		var params [128]byte
		fd, _, e := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params[0])), 0)
		if e != 0 {
			return e
		}
		return opened(int(fd), nil)
	}},
	{"keyctl", true, false, 0, func(prey) error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_PROCESS_KEYRING, true)
		return err
	}},
	{"bpf", false, false, 0, func(prey) error { return raw(unix.SYS_BPF) }},
	{"perf_event_open", false, false, 0, func(prey) error {
		return opened(unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE}, 0, -1, -1, 0))
	}},
	{"userfaultfd", false, false, 0, func(prey) error {
		fd, _, e := unix.RawSyscall(unix.SYS_USERFAULTFD, 1, 0, 0)
		if e != 0 {
			return e
		}
		return opened(int(fd), nil)
	}},
}

// needs are what a gateway must be able to do.
var needs = []struct {
	name string
	do   func(p prey) error
}{
	{"dial", func(p prey) error { return talk(p.TCP) }},
	{"dial IPv6", func(p prey) error { return talk(p.TCP6) }},
	{"dial UDP", func(p prey) error {
		c, err := net.Dial("udp", p.TCP)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	}},
	{"accept", func(prey) error {
		f := os.NewFile(listenerFD, "listener")
		l, err := net.FileListener(f)
		if err != nil {
			return err
		}
		defer l.Close()
		go func() { _ = talk(l.Addr().String()) }()
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("hello"))
		return errors.Join(err, c.Close())
	}},
	{"threads and signals between them", func(prey) error {
		done, stop := make(chan bool), make(chan bool)
		for range 8 {
			go func() {
				runtime.LockOSThread() // and its thread ends with it
				<-stop
				done <- true
			}()
		}
		go func() { // a loop without calls has to be interrupted for the collector
			for i := 0; ; i++ {
				select {
				case <-stop:
					done <- true
					return
				default:
				}
			}
		}()
		runtime.GC()
		close(stop)
		for range 9 {
			<-done
		}
		return raw(unix.SYS_TGKILL, uintptr(unix.Getpid()), uintptr(unix.Gettid()), uintptr(unix.SIGURG))
	}},
	{"wait", func(prey) error { time.Sleep(time.Millisecond); return nil }},
}

// talk dials and reads the greeting.
func talk(address string) error {
	if address == "" {
		return nil
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 5)
	_, err = c.Read(b)
	return err
}

// outcome is how one attempt ended.
type outcome struct {
	Name  string
	Error string // "": it succeeded
}

// run is the program's other side: it tries all and reports. What is confined does
// nothing else but read what it is to try first.
func run(how string) error {
	if how == asWhole {
		if err := lockdown.Enter(gateway.Calls(), false); err != nil {
			return err
		}
	}
	var p prey
	if err := json.NewDecoder(os.NewFile(preyFD, "prey")).Decode(&p); err != nil {
		return err
	}
	report := json.NewEncoder(os.NewFile(reportFD, "report"))
	for _, a := range attacks {
		if err := report.Encode(said(a.name, a.do(p))); err != nil {
			return err
		}
	}
	for _, n := range needs {
		if err := report.Encode(said(n.name, n.do(p))); err != nil {
			return err
		}
	}
	return nil
}

func said(name string, err error) outcome {
	if err != nil {
		return outcome{name, fmt.Sprint(err)}
	}
	return outcome{name, ""}
}

// uid is that of the processes where the tests are root's.
const uid = 65501

func credential() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: uid, Gid: uid}
}
