package seccomp

import (
	"bufio"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const high = 1 << 32 // bits that the kernel drops from a 32-bit argument

// cases are single calls and what becomes of them, written out by hand: the
// table is the thing under test here. Errno 0 means permitted.
var cases = []struct {
	call  string
	args  [6]uint64
	errno unix.Errno
}{
	{"fcntl", [6]uint64{0, unix.F_SETFL}, 0},
	{"fcntl", [6]uint64{0, unix.F_OFD_SETLK}, 0},
	{"fcntl", [6]uint64{0, unix.F_SETLEASE, unix.F_RDLCK}, unix.EINVAL},
	{"fcntl", [6]uint64{0, unix.F_SETLEASE | high, unix.F_WRLCK}, unix.EINVAL},
	{"fcntl", [6]uint64{0, unix.F_NOTIFY}, unix.EINVAL},
	{"chmod", [6]uint64{0, 0o755}, 0},
	{"chmod", [6]uint64{0, 0o1777}, 0},
	{"chmod", [6]uint64{0, 0o4755}, unix.EPERM},
	{"chmod", [6]uint64{0, 0o2755 | high}, unix.EPERM},
	{"fchmod", [6]uint64{0, 0o6000}, unix.EPERM},
	{"fchmodat", [6]uint64{0, 0, 0o4000}, unix.EPERM},
	{"fchmodat", [6]uint64{0, 0o4000, 0o644}, 0},
	{"fchmodat2", [6]uint64{0, 0, 0o2000}, unix.EPERM},
	{"open", [6]uint64{0, unix.O_RDWR, 0o4755}, 0}, // no mode is read: what is there is left over
	{"open", [6]uint64{0, unix.O_CREAT, 0o4755}, unix.EPERM},
	{"openat", [6]uint64{0, 0, unix.O_CREAT | unix.O_EXCL, 0o644}, 0},
	{"openat", [6]uint64{0, 0, unix.O_CREAT | unix.O_WRONLY | high, 0o2644}, unix.EPERM},
	{"openat", [6]uint64{0, 0, unix.O_TMPFILE | unix.O_RDWR, 0o4644}, unix.EPERM},
	{"openat", [6]uint64{0, 0, unix.O_DIRECTORY, 0o4644}, 0},
	{"openat2", [6]uint64{}, unix.ENOSYS},
	{"creat", [6]uint64{0, 0o4755}, unix.EPERM},
	{"mkdir", [6]uint64{0, 0o2755}, unix.EPERM},
	{"mkdirat", [6]uint64{0, 0, 0o1777}, 0},
	{"mkdirat", [6]uint64{0, 0, 0o2755}, unix.EPERM},
	{"mknod", [6]uint64{0, unix.S_IFIFO | 0o644}, 0},
	{"mknodat", [6]uint64{0, 0, unix.S_IFSOCK | 0o644}, 0},
	{"mknodat", [6]uint64{0, 0, 0o644}, 0},
	{"mknodat", [6]uint64{0, 0, unix.S_IFREG | 0o4644}, unix.EPERM},
	{"mknodat", [6]uint64{0, 0, unix.S_IFCHR | 0o644}, unix.EPERM}, // also 0:0, a whiteout
	{"mknodat", [6]uint64{0, 0, unix.S_IFBLK | 0o644 | 1<<16}, unix.EPERM},
	{"renameat2", [6]uint64{0, 0, 0, 0, unix.RENAME_NOREPLACE}, 0},
	{"renameat2", [6]uint64{0, 0, 0, 0, unix.RENAME_WHITEOUT | unix.RENAME_NOREPLACE}, unix.EINVAL},

	{"clone", [6]uint64{unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SETTLS}, 0},
	{"clone", [6]uint64{uint64(unix.SIGCHLD) | unix.CLONE_VFORK | unix.CLONE_VM | unix.CLONE_PIDFD}, 0},
	{"clone", [6]uint64{unix.CLONE_NEWUSER}, unix.EPERM},
	{"clone", [6]uint64{unix.CLONE_NEWNET | uint64(unix.SIGCHLD) | high}, unix.EPERM},
	{"clone", [6]uint64{unix.CLONE_NEWNS}, unix.EPERM},
	{"clone", [6]uint64{unix.CLONE_NEWPID}, unix.EPERM},
	{"clone", [6]uint64{unix.CLONE_NEWCGROUP}, unix.EPERM},
	{"clone", [6]uint64{unix.CLONE_NEWUTS}, unix.EPERM},
	{"clone", [6]uint64{unix.CLONE_NEWIPC}, unix.EPERM},
	{"clone3", [6]uint64{}, unix.ENOSYS},

	{"ioctl", [6]uint64{0, unix.TCGETS}, 0},
	{"ioctl", [6]uint64{0, unix.TIOCGWINSZ}, 0},
	{"ioctl", [6]uint64{0, unix.TIOCSTI}, unix.EPERM},
	{"ioctl", [6]uint64{0, unix.TIOCSTI | 0xdead<<32}, unix.EPERM}, // CVE-2017-5226, and the bypasses after it
	{"ioctl", [6]uint64{0, 0x541c | high}, unix.EPERM},             // TIOCLINUX
	{"ioctl", [6]uint64{0, unix.TIOCSETD}, unix.EPERM},

	{"socket", [6]uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC}, 0},
	{"socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC}, 0},
	{"socket", [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, 0},
	{"socket", [6]uint64{unix.AF_INET | high, unix.SOCK_RAW, unix.IPPROTO_ICMP}, unix.EPROTONOSUPPORT},
	{"socket", [6]uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, unix.EPROTONOSUPPORT},
	{"socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, unix.EPROTONOSUPPORT},
	{"socket", [6]uint64{unix.AF_INET, 10}, unix.EPROTONOSUPPORT}, // SOCK_PACKET, which makes an AF_PACKET socket
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}, 0},
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, unix.EAFNOSUPPORT},
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_KOBJECT_UEVENT}, unix.EAFNOSUPPORT},
	{"socket", [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, unix.EAFNOSUPPORT},
	{"socket", [6]uint64{unix.AF_VSOCK | high, unix.SOCK_STREAM}, unix.EAFNOSUPPORT},
	{"socket", [6]uint64{unix.AF_PACKET, unix.SOCK_RAW}, unix.EAFNOSUPPORT},
	{"socket", [6]uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, unix.EAFNOSUPPORT},
	{"socket", [6]uint64{unix.AF_UNSPEC}, unix.EAFNOSUPPORT},
	{"socketpair", [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, 0},
	{"socketpair", [6]uint64{unix.AF_TIPC, unix.SOCK_STREAM}, unix.EAFNOSUPPORT},
	{"sendmsg", [6]uint64{0, 0, unix.MSG_NOSIGNAL}, 0},
	{"sendmsg", [6]uint64{0, 0, unix.MSG_OOB}, unix.EOPNOTSUPP},
	{"sendto", [6]uint64{0, 0, 1, unix.MSG_OOB | unix.MSG_DONTWAIT}, unix.EOPNOTSUPP},
	{"sendmmsg", [6]uint64{0, 0, 1, unix.MSG_OOB}, unix.EOPNOTSUPP},
	{"setsockopt", [6]uint64{0, unix.SOL_SOCKET, unix.SO_REUSEADDR}, 0},
	{"setsockopt", [6]uint64{0, unix.SOL_TCP, unix.TCP_NODELAY}, 0},
	{"setsockopt", [6]uint64{0, unix.SOL_TCP, unix.TCP_ULP}, unix.ENOPROTOOPT},
	{"setsockopt", [6]uint64{0, unix.SOL_SOCKET, unix.SO_ATTACH_BPF}, unix.ENOPROTOOPT},

	{"prctl", [6]uint64{unix.PR_SET_NAME}, 0},
	{"prctl", [6]uint64{unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER}, 0},
	{"prctl", [6]uint64{unix.PR_SET_PTRACER}, unix.EINVAL},
	{"prctl", [6]uint64{unix.PR_SET_MM}, unix.EINVAL},
	{"prctl", [6]uint64{unix.PR_SET_SYSCALL_USER_DISPATCH}, unix.EINVAL},
	{"prctl", [6]uint64{unix.PR_SET_SPECULATION_CTRL}, unix.EINVAL},
	{"seccomp", [6]uint64{unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC}, 0},
	{"seccomp", [6]uint64{unix.SECCOMP_GET_ACTION_AVAIL}, 0},
	{"seccomp", [6]uint64{unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER}, unix.EPERM},
	{"personality", [6]uint64{0}, 0},
	{"personality", [6]uint64{0xffffffff}, 0},
	{"personality", [6]uint64{^uint64(0)}, 0},
	{"personality", [6]uint64{0x40000}, unix.EPERM},
	{"personality", [6]uint64{8}, unix.EPERM},
	{"prlimit64", [6]uint64{0, unix.RLIMIT_NOFILE}, 0},
	{"prlimit64", [6]uint64{1, unix.RLIMIT_CPU}, unix.EPERM},
	{"prlimit64", [6]uint64{0, unix.RLIMIT_CORE, 0, 0x7fff0000}, 0},
	{"prlimit64", [6]uint64{0, unix.RLIMIT_CORE, 0x7fff0000}, unix.EPERM},
	{"prlimit64", [6]uint64{0, unix.RLIMIT_CORE, 0x7fff00000000}, unix.EPERM}, // a pointer that ends in zeros
	{"prlimit64", [6]uint64{1, unix.RLIMIT_CORE}, unix.EPERM},
	{"setrlimit", [6]uint64{unix.RLIMIT_CORE}, unix.EPERM},
	{"setpriority", [6]uint64{unix.PRIO_PROCESS, 1}, unix.EPERM},
	{"setpriority", [6]uint64{unix.PRIO_PROCESS, 7}, 0},
	{"setpriority", [6]uint64{unix.PRIO_PGRP, 0}, 0},
	{"setpriority", [6]uint64{unix.PRIO_USER, 1000}, unix.EPERM},
	{"ioprio_set", [6]uint64{1, 1}, unix.EPERM},
	{"ioprio_set", [6]uint64{1, 0}, 0},
	{"ioprio_set", [6]uint64{3, 0}, unix.EPERM},
	{"sched_setaffinity", [6]uint64{1, 8}, unix.EPERM},
	{"sched_setaffinity", [6]uint64{0, 8}, 0},
	{"setrlimit", [6]uint64{unix.RLIMIT_NOFILE}, 0},
	{"prlimit64", [6]uint64{high, unix.RLIMIT_CPU}, 0}, // the kernel reads pid 0

	{"landlock_restrict_self", [6]uint64{}, 0},
	{"kill", [6]uint64{1, 9}, 0},
	{"ptrace", [6]uint64{}, unix.EPERM},
	{"bpf", [6]uint64{}, unix.EPERM},
	{"keyctl", [6]uint64{}, unix.EPERM},
	{"mount", [6]uint64{}, unix.EPERM},
	{"fsopen", [6]uint64{}, unix.EPERM},
	{"unshare", [6]uint64{}, unix.EPERM},
	{"setns", [6]uint64{}, unix.EPERM},
	{"userfaultfd", [6]uint64{}, unix.EPERM},
	{"perf_event_open", [6]uint64{}, unix.EPERM},
	{"open_by_handle_at", [6]uint64{}, unix.EPERM},
	{"io_uring_setup", [6]uint64{}, unix.ENOSYS},
}

const none = ^uint32(0)

func number(tb *judged, name string) uint32 {
	i := slices.IndexFunc(tb.numbers, func(n numbered) bool { return n.name == name })
	if i < 0 {
		return none
	}
	return tb.numbers[i].number
}

func TestCases(t *testing.T) {
	for _, arch := range []Arch{AMD64, ARM64} {
		tb := table(t, Options{Arch: arch, Loopback: true})
		p := tb.Filter().Silent()
		for _, c := range cases {
			nr := number(tb, c.call)
			if nr == none && arch == ARM64 {
				continue // one of the calls that newer architectures never had
			}
			want := uint32(unix.SECCOMP_RET_ALLOW)
			if c.errno != 0 {
				want = unix.SECCOMP_RET_ERRNO | uint32(c.errno)
			}
			args := c.args
			if c.call == "openat" && arch == ARM64 && args[2] == unix.O_TMPFILE|unix.O_RDWR {
				args[2] = 0o20040000 | unix.O_RDWR // O_DIRECTORY differs there
			}
			if got, _, err := run(p, data{nr, tb.audit, args}); err != nil || got != want {
				t.Errorf("%s: %s %#x: %#x, %v; want %#x", arch, c.call, c.args, got, err, want)
			}
		}
	}
}

func TestNumbersOutsideTheTable(t *testing.T) {
	for _, c := range []struct {
		arch   Arch
		number uint32
		errno  unix.Errno
	}{
		{AMD64, 400, unix.ENOSYS},            // a hole
		{AMD64, 472, unix.ENOSYS},            // one after the newest
		{AMD64, 0x3fffffff, unix.ENOSYS},     // the last before x32
		{AMD64, x32, unix.EPERM},             // x32's read
		{AMD64, x32 | 39, unix.EPERM},        // x32's getpid
		{AMD64, 0xffffffff, unix.EPERM},      // -1, which has the x32 bit
		{ARM64, 244, unix.ENOSYS},            // reserved for architectures
		{ARM64, 0xffffffff, unix.ENOSYS},     // -1
		{ARM64, 0x40000000 | 1, unix.ENOSYS}, // no x32 there
	} {
		p := table(t, Options{Arch: c.arch, Groups: groupNames()}).Filter().Silent()
		got, _, err := run(p, data{number: c.number, arch: audits[c.arch]})
		if err != nil || got != unix.SECCOMP_RET_ERRNO|uint32(c.errno) {
			t.Errorf("%s %#x: %#x, %v; want errno %d", c.arch, c.number, got, err, c.errno)
		}
	}
}

func groupNames() []string { return slices.Sorted(maps.Keys(Groups())) }

func TestWithoutLoopbackThereIsNoInternetSocket(t *testing.T) {
	tb := table(t, Options{Arch: AMD64, Groups: groupNames()})
	for kind := range uint64(16) {
		for protocol := range uint64(300) {
			for _, family := range []uint64{unix.AF_INET, unix.AF_INET6} {
				if v := tb.Judge(number(tb, "socket"), [6]uint64{family, kind, protocol}); v != refusal(unix.EAFNOSUPPORT) {
					t.Fatalf("family %d type %d protocol %d: %+v", family, kind, protocol, v)
				}
			}
		}
	}
	if !tb.Judge(number(tb, "socket"), [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}).Permit {
		t.Error("AF_UNIX is refused")
	}
}

// TestSmallerThanDocker compares the base list with Docker's default profile.
func TestSmallerThanDocker(t *testing.T) {
	f, err := os.Open("testdata/docker-default.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	docker := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "#") {
			docker[s.Text()] = true
		}
	}
	more := map[string]string{ // what the base has beyond Docker's, and why
		"uprobe": "newer than the profile; like uretprobe, which it has",
	}
	ours := 0
	for _, e := range families("permitted") {
		for _, name := range e.names {
			ours++
			if !docker[name] && more[name] == "" {
				t.Errorf("Docker's default refuses %s: say why the base does not", name)
			}
		}
	}
	t.Logf("base list %d calls, Docker's default %d", ours, len(docker))
	if ours >= len(docker) {
		t.Errorf("the base list has %d calls, Docker's default only %d", ours, len(docker))
	}
}
