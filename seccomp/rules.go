package seccomp

import "golang.org/x/sys/unix"

// Numbers that x/sys/unix lacks, or that differ there between architectures
// although this use of them does not.
const (
	setID      = unix.S_ISUID | unix.S_ISGID
	createFlag = unix.O_CREAT | 0x400000 // or __O_TMPFILE: only then has open a mode
	typeMask   = 0xf                     // of a socket's type: SOCK_NONBLOCK and SOCK_CLOEXEC are above it

	cloneNew = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET // CLONE_NEWTIME is no flag of clone

	tiocsti, tioclinux, tioccons, tiocsetd = 0x5412, 0x541c, 0x541d, 0x5423

	personalityQuery = 0xffffffff
	addrNoRandomize  = 0x0040000
)

// unless permits the call but where the tests hold.
func unless(answer unix.Errno, limit string, tests ...test) *rule {
	return &rule{[]clause{when(refuse(answer), tests...)}, permit, limit}
}

// only permits the call just where the tests hold.
func only(otherwise unix.Errno, limit string, tests ...test) *rule {
	return &rule{[]clause{when(permit, tests...)}, refuse(otherwise), limit}
}

// noSetID refuses a mode with a setuid or setgid bit: with the right owner
// outside, such a file left in a granted folder would be a way up.
func noSetID(mode uint32) *rule {
	return unless(unix.EPERM, "without setuid and setgid bits", set(mode, setID))
}

// open is noSetID for calls that have a mode only when they create.
func open(flags, mode uint32) *rule {
	return unless(unix.EPERM, "creates no setuid or setgid file", set(flags, createFlag), set(mode, setID))
}

// mknod permits what is not a device.
func mknod(mode uint32) *rule {
	return &rule{[]clause{
		when(refuse(unix.EPERM), set(mode, setID)),
		when(permit, masked(mode, unix.S_IFMT, 0, unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK)),
	}, refuse(unix.EPERM), "only plain files, fifos and sockets, without setuid and setgid bits"}
}

// noUrgent refuses MSG_OOB.
func noUrgent(flags uint32) *rule {
	return unless(unix.EOPNOTSUPP, "without MSG_OOB", set(flags, unix.MSG_OOB))
}

// notInit refuses a process number of 1: init has the agent's user id, but is
// not the agent's to slow down.
func notInit(pid uint32) *rule {
	return unless(unix.EPERM, "not of process 1", is(pid, 1))
}

// nice is notInit for calls that name processes by number, group or user. One
// user is all that there is, init included.
func nice(byProcess, byUser uint32) *rule {
	return &rule{[]clause{
		when(refuse(unix.EPERM), is(0, byProcess), is(1, 1)),
		when(refuse(unix.EPERM), is(0, byUser)),
	}, permit, "not of process 1, nor of all of a user"}
}

// prlimit permits limits of the caller's own but that of core files, which may
// only be asked for.
func prlimit() *rule {
	core := is(1, unix.RLIMIT_CORE)
	return &rule{[]clause{
		when(permit, append(null(2), is(0, 0), core)...),
		when(quiet, core), // honest programs forbid themselves to leave secrets in one
		when(permit, is(0, 0)),
	}, refuse(unix.EPERM), "only with pid 0, the caller; RLIMIT_CORE is only asked for"}
}

// setrlimit keeps RLIMIT_CORE at 1. Where core_pattern names a program, the
// host starts it for a crash in here, as root, whatever the limit is; but for a
// limit of 1 (fs/coredump.c). Lowered to 0 it would be started again.
func setrlimit() *rule {
	return &rule{[]clause{when(quiet, is(0, unix.RLIMIT_CORE))}, permit, "not RLIMIT_CORE"}
}

// socket permits the families of the plan. Without loopback there is nothing
// that an Internet socket could reach, so there is none.
func socket(loopback bool) *rule {
	limit := "only AF_UNIX and AF_NETLINK for NETLINK_ROUTE"
	r := rule{last: refuse(unix.EAFNOSUPPORT)}
	r.clauses = []clause{
		when(permit, is(0, unix.AF_UNIX)),
		// getifaddrs needs it; without capabilities it can only read.
		when(permit, is(0, unix.AF_NETLINK), masked(1, typeMask, unix.SOCK_RAW, unix.SOCK_DGRAM), is(2, unix.NETLINK_ROUTE)),
	}
	if loopback {
		limit += ", and TCP and UDP over AF_INET and AF_INET6"
		r.clauses = append(r.clauses,
			when(permit, is(0, unix.AF_INET, unix.AF_INET6), masked(1, typeMask, unix.SOCK_STREAM, unix.SOCK_DGRAM),
				is(2, unix.IPPROTO_IP, unix.IPPROTO_TCP, unix.IPPROTO_UDP)),
			when(refuse(unix.EPROTONOSUPPORT), is(0, unix.AF_INET, unix.AF_INET6)))
	}
	r.limit = limit
	return &r
}

// prctl permits the options that concern only the caller and that either give
// something up, name something or ask; more adds to them.
func prctl(more ...uint32) *rule {
	options := append([]uint32{
		unix.PR_SET_PDEATHSIG, unix.PR_GET_PDEATHSIG, unix.PR_SET_NAME, unix.PR_GET_NAME,
		unix.PR_SET_DUMPABLE, unix.PR_GET_DUMPABLE, unix.PR_SET_NO_NEW_PRIVS, unix.PR_GET_NO_NEW_PRIVS,
		unix.PR_SET_CHILD_SUBREAPER, unix.PR_GET_CHILD_SUBREAPER,
		unix.PR_SET_TIMERSLACK, unix.PR_GET_TIMERSLACK, unix.PR_SET_THP_DISABLE, unix.PR_GET_THP_DISABLE,
		unix.PR_SET_VMA, unix.PR_GET_AUXV, unix.PR_GET_TSC, unix.PR_GET_SPECULATION_CTRL,
		unix.PR_SET_MDWE, unix.PR_GET_MDWE,
		unix.PR_GET_SECCOMP, unix.PR_SET_SECCOMP, // a further filter can only take away
		unix.PR_GET_KEEPCAPS, unix.PR_SET_KEEPCAPS, unix.PR_CAPBSET_READ, unix.PR_CAPBSET_DROP,
		unix.PR_GET_SECUREBITS, unix.PR_SET_SECUREBITS, unix.PR_CAP_AMBIENT,
		// arm64: vector lengths, pointer authentication, tagged addresses
		unix.PR_SVE_SET_VL, unix.PR_SVE_GET_VL, unix.PR_SME_SET_VL, unix.PR_SME_GET_VL,
		unix.PR_PAC_RESET_KEYS, unix.PR_SET_TAGGED_ADDR_CTRL, unix.PR_GET_TAGGED_ADDR_CTRL,
	}, more...)
	return only(unix.EINVAL, "only options that concern the caller and give nothing", is(0, options...))
}
