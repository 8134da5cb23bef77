package seccomp

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestConditionsSayWhat: a family has clauses if and only if it says so in
// words, and what it says "as before" of was said before.
func TestConditionsSayWhat(t *testing.T) {
	limited := map[string]bool{}
	for _, s := range sections() {
		for _, f := range s.families {
			decides := func(line string) bool { return strings.Contains(line, " if ") || strings.HasPrefix(line, "else ") }
			words := slices.DeleteFunc(slices.Clone(f.lines), decides)
			if len(words) > 1 || (len(f.lines) > len(words)) != (len(words) > 0) && s.name != "without-loopback" {
				t.Errorf("%s: %v checks nothing, or does not say what", s.name, f.names)
			}
			for _, call := range f.names {
				if slices.Contains(f.lines, "else as before") && !limited[call] {
					t.Errorf("%s: there is nothing before about %s", s.name, call)
				}
				limited[call] = limited[call] || len(words) > 0
			}
		}
	}
	for name, s := range read(Options{Groups: groupNames(), Watched: true}) {
		for _, c := range s.clauses {
			for _, test := range c.when {
				if test.arg > 5 || test.mask == 0 {
					t.Errorf("%s: %+v", name, test)
				}
			}
		}
	}
}

// named are the numbers that calls.txt gives names to, as golang.org/x/sys has them.
var named = map[string]int{
	"PR_SET_PDEATHSIG": unix.PR_SET_PDEATHSIG, "PR_GET_PDEATHSIG": unix.PR_GET_PDEATHSIG,
	"PR_SET_NAME": unix.PR_SET_NAME, "PR_GET_NAME": unix.PR_GET_NAME,
	"PR_SET_DUMPABLE": unix.PR_SET_DUMPABLE, "PR_GET_DUMPABLE": unix.PR_GET_DUMPABLE,
	"PR_SET_NO_NEW_PRIVS": unix.PR_SET_NO_NEW_PRIVS, "PR_GET_NO_NEW_PRIVS": unix.PR_GET_NO_NEW_PRIVS,
	"PR_SET_CHILD_SUBREAPER": unix.PR_SET_CHILD_SUBREAPER, "PR_GET_CHILD_SUBREAPER": unix.PR_GET_CHILD_SUBREAPER,
	"PR_SET_TIMERSLACK": unix.PR_SET_TIMERSLACK, "PR_GET_TIMERSLACK": unix.PR_GET_TIMERSLACK,
	"PR_SET_THP_DISABLE": unix.PR_SET_THP_DISABLE, "PR_GET_THP_DISABLE": unix.PR_GET_THP_DISABLE,
	"PR_SET_VMA": unix.PR_SET_VMA, "PR_GET_AUXV": unix.PR_GET_AUXV, "PR_GET_TSC": unix.PR_GET_TSC,
	"PR_GET_SPECULATION_CTRL": unix.PR_GET_SPECULATION_CTRL, "PR_SET_MDWE": unix.PR_SET_MDWE, "PR_GET_MDWE": unix.PR_GET_MDWE,
	"PR_GET_SECCOMP": unix.PR_GET_SECCOMP, "PR_SET_SECCOMP": unix.PR_SET_SECCOMP,
	"PR_GET_KEEPCAPS": unix.PR_GET_KEEPCAPS, "PR_SET_KEEPCAPS": unix.PR_SET_KEEPCAPS,
	"PR_CAPBSET_READ": unix.PR_CAPBSET_READ, "PR_CAPBSET_DROP": unix.PR_CAPBSET_DROP,
	"PR_GET_SECUREBITS": unix.PR_GET_SECUREBITS, "PR_SET_SECUREBITS": unix.PR_SET_SECUREBITS, "PR_CAP_AMBIENT": unix.PR_CAP_AMBIENT,
	"PR_SVE_SET_VL": unix.PR_SVE_SET_VL, "PR_SVE_GET_VL": unix.PR_SVE_GET_VL,
	"PR_SME_SET_VL": unix.PR_SME_SET_VL, "PR_SME_GET_VL": unix.PR_SME_GET_VL, "PR_PAC_RESET_KEYS": unix.PR_PAC_RESET_KEYS,
	"PR_SET_TAGGED_ADDR_CTRL": unix.PR_SET_TAGGED_ADDR_CTRL, "PR_GET_TAGGED_ADDR_CTRL": unix.PR_GET_TAGGED_ADDR_CTRL,
	"PR_SET_PTRACER": unix.PR_SET_PTRACER,
	"TIOCSTI":        unix.TIOCSTI, "TIOCLINUX": 0x541c, "TIOCCONS": unix.TIOCCONS, "TIOCSETD": unix.TIOCSETD,
	"F_SETLEASE": unix.F_SETLEASE, "F_NOTIFY": unix.F_NOTIFY,
	"O_CREAT": unix.O_CREAT, "O_TMPFILE": unix.O_TMPFILE &^ unix.O_DIRECTORY, "setuid": unix.S_ISUID, "setgid": unix.S_ISGID,
	"S_IFMT": unix.S_IFMT, "S_IFREG": unix.S_IFREG, "S_IFIFO": unix.S_IFIFO, "S_IFSOCK": unix.S_IFSOCK,
	"RENAME_WHITEOUT": unix.RENAME_WHITEOUT, "ADDR_NO_RANDOMIZE": 0x40000, "query": 0xffffffff, // personality(2)
	"NEWNS": unix.CLONE_NEWNS, "NEWCGROUP": unix.CLONE_NEWCGROUP, "NEWUTS": unix.CLONE_NEWUTS, "NEWIPC": unix.CLONE_NEWIPC,
	"NEWUSER": unix.CLONE_NEWUSER, "NEWPID": unix.CLONE_NEWPID, "NEWNET": unix.CLONE_NEWNET,
	"CLONE_THREAD": unix.CLONE_THREAD, "PROT_EXEC": unix.PROT_EXEC, "self": 1,
	"SECCOMP_SET_MODE_FILTER": unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_FILTER_FLAG_NEW_LISTENER": unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
	"init": 1, "PRIO_PROCESS": unix.PRIO_PROCESS, "PRIO_USER": unix.PRIO_USER, "IOPRIO_WHO_PROCESS": 1, "IOPRIO_WHO_USER": 3, // ioprio_set(2)
	"RLIMIT_CORE": unix.RLIMIT_CORE, "null": 0, "caller": 0, "none": 0,
	"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_NETLINK": unix.AF_NETLINK, "NETLINK_ROUTE": unix.NETLINK_ROUTE,
	"type": 0xf, "SOCK_STREAM": unix.SOCK_STREAM, "SOCK_DGRAM": unix.SOCK_DGRAM, "SOCK_RAW": unix.SOCK_RAW,
	"IPPROTO_IP": unix.IPPROTO_IP, "IPPROTO_TCP": unix.IPPROTO_TCP, "IPPROTO_UDP": unix.IPPROTO_UDP,
	"MSG_OOB": unix.MSG_OOB, "SOL_TCP": unix.SOL_TCP, "TCP_ULP": unix.TCP_ULP, "SOL_SOCKET": unix.SOL_SOCKET,
	"SO_ATTACH_FILTER": unix.SO_ATTACH_FILTER, "SO_ATTACH_BPF": unix.SO_ATTACH_BPF,
	"SO_ATTACH_REUSEPORT_CBPF": unix.SO_ATTACH_REUSEPORT_CBPF, "SO_ATTACH_REUSEPORT_EBPF": unix.SO_ATTACH_REUSEPORT_EBPF,
}

// TestNumbersAreWhatTheyAreCalled: the names in calls.txt are for people, and true.
func TestNumbersAreWhatTheyAreCalled(t *testing.T) {
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`([A-Za-z_0-9|]+)=(\w+)`).FindAllStringSubmatch(conditions(), -1) {
		sum := 0
		for name := range strings.SplitSeq(m[1], "|") {
			n, ok := named[name]
			if !ok {
				t.Errorf("%s has a name that this test does not know: %s", m[0], name)
			}
			used[name] = true
			sum |= n
		}
		if is, err := strconv.ParseInt(m[2], 0, 64); err != nil || int(is) != sum {
			t.Errorf("%s is %#x (%v)", m[0], sum, err)
		}
	}
	for name := range named {
		if !used[name] {
			t.Errorf("%s is used no more", name)
		}
	}
}

// conditions are the lines of calls.txt that have some.
func conditions() (text string) {
	for line := range strings.Lines(callsFile) {
		if strings.HasPrefix(line, "\t") {
			text += line
		}
	}
	return text
}

// TestOnly: of a filter for few calls nothing is left but these, under conditions
// that are no wider than those of the base list; of one for none, nothing.
func TestOnly(t *testing.T) {
	for _, arch := range []Arch{AMD64, ARM64} {
		for _, only := range [][]string{{}, {"read", "fcntl", "mount", "nosuchcall"}} {
			tb, base := table(t, Options{Arch: arch, Loopback: true, Only: only}), table(t, Options{Arch: arch, Loopback: true})
			for _, n := range tb.numbers {
				for _, v := range interesting(base) {
					args := [6]uint64{v, v, v, v, v, v}
					want := slices.Contains(only, n.name) && base.Judge(n.number, args).Permit
					if got := tb.Judge(n.number, args).Permit; got != want {
						t.Fatalf("%s: %s of %v: permitted: %v", arch, n.name, only, got)
					}
				}
			}
		}
	}
}

// TestOfNacre: a process of Nacre's own dials, and has no more than its threads.
func TestOfNacre(t *testing.T) {
	const thread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	for _, arch := range []Arch{AMD64, ARM64} {
		tb := table(t, Options{Arch: arch, Loopback: true, Only: []string{"socket", "clone", "tgkill", "mmap", "mprotect"}})
		for _, c := range []struct {
			call   string
			args   [6]uint64
			permit bool
		}{
			{"socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, unix.IPPROTO_TCP}, true},
			{"socket", [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK}, true},
			{"socket", [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, false},
			{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, false},
			{"socket", [6]uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP}, false},
			{"socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, false},
			{"clone", [6]uint64{thread}, true},
			{"clone", [6]uint64{thread | unix.CLONE_NEWNS}, false},
			{"clone", [6]uint64{uint64(unix.SIGCHLD)}, false},
			{"clone", [6]uint64{uint64(unix.SIGCHLD) | unix.CLONE_VFORK | unix.CLONE_VM}, false},
			{"tgkill", [6]uint64{1, 7, uint64(unix.SIGURG)}, true},
			{"tgkill", [6]uint64{2, 7, uint64(unix.SIGURG)}, false},
			{"tgkill", [6]uint64{}, false},
			{"mmap", [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE}, true},
			{"mmap", [6]uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, false},
			{"mprotect", [6]uint64{0, 4096, unix.PROT_NONE}, true},
			{"mprotect", [6]uint64{0, 4096, unix.PROT_EXEC}, false},
		} {
			if got := tb.Judge(number(tb, c.call), c.args).Permit; got != c.permit {
				t.Errorf("%s: %s %#x: permitted: %v", arch, c.call, c.args, got)
			}
		}
	}
}
