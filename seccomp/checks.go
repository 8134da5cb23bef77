package seccomp

import "golang.org/x/sys/unix"

// checks are what calls of calls.txt may be called with, by section and name.
// The others are treated as their section says, whatever their arguments.
var checks = map[string]*rule{
	"permitted ioctl": unless(unix.EPERM, "without TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD",
		is(1, tiocsti, tioclinux, tioccons, tiocsetd)),

	// A lease would let a reader of a granted folder hold up everybody who opens
	// its files outside.
	"permitted fcntl": unless(unix.EINVAL, "without F_SETLEASE and F_NOTIFY", is(1, unix.F_SETLEASE, unix.F_NOTIFY)),

	"permitted open":      open(1, 2),
	"permitted openat":    open(2, 3),
	"permitted creat":     noSetID(1),
	"permitted mkdir":     noSetID(1),
	"permitted mkdirat":   noSetID(2),
	"permitted mknod":     mknod(1),
	"permitted mknodat":   mknod(2),
	"permitted chmod":     noSetID(1),
	"permitted fchmod":    noSetID(1),
	"permitted fchmodat":  noSetID(2),
	"permitted fchmodat2": noSetID(2),
	"permitted renameat2": unless(unix.EINVAL, "without RENAME_WHITEOUT", set(4, unix.RENAME_WHITEOUT)),

	"permitted clone":       unless(unix.EPERM, "without CLONE_NEW flags", set(0, cloneNew)),
	"permitted prctl":       prctl(),
	"debug prctl":           prctl(unix.PR_SET_PTRACER),
	"permitted personality": only(unix.EPERM, "only 0 and the query", is(0, 0, personalityQuery)),
	"debug personality": only(unix.EPERM, "only 0, ADDR_NO_RANDOMIZE and the query",
		is(0, 0, addrNoRandomize, personalityQuery)),
	"permitted seccomp": unless(unix.EPERM, "without SECCOMP_FILTER_FLAG_NEW_LISTENER",
		is(0, unix.SECCOMP_SET_MODE_FILTER), set(1, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)),

	"permitted sched_setaffinity":  notInit(0),
	"permitted sched_setparam":     notInit(0),
	"permitted sched_setscheduler": notInit(0),
	"permitted sched_setattr":      notInit(0),
	"permitted setpriority":        nice(unix.PRIO_PROCESS, unix.PRIO_USER),
	"permitted ioprio_set":         nice(1, 3), // IOPRIO_WHO_PROCESS and _USER
	"permitted setrlimit":          setrlimit(),
	"permitted prlimit64":          prlimit(),

	"permitted socket":        socket(true),
	"without-loopback socket": socket(false),
	"permitted socketpair":    only(unix.EAFNOSUPPORT, "only AF_UNIX", is(0, unix.AF_UNIX)),
	"permitted sendmsg":       noUrgent(2),
	"permitted sendto":        noUrgent(3),
	"permitted sendmmsg":      noUrgent(3),
	"permitted setsockopt": {[]clause{
		when(refuse(unix.ENOPROTOOPT), is(1, unix.SOL_TCP), is(2, unix.TCP_ULP)),
		when(refuse(unix.ENOPROTOOPT), is(1, unix.SOL_SOCKET), is(2, unix.SO_ATTACH_FILTER, unix.SO_ATTACH_BPF,
			unix.SO_ATTACH_REUSEPORT_CBPF, unix.SO_ATTACH_REUSEPORT_EBPF)),
	}, permit, "without TCP_ULP and SO_ATTACH_*"},
}
