package seccomp

import "golang.org/x/sys/unix"

// entry is a family of calls with one reason and one treatment. A name that an
// architecture lacks is left out there.
type entry struct {
	names  string
	reason string
	rule   *rule // nil: as the table says
}

// allowed is the base list: what ordinary programs, compilers and language
// runtimes need. Calls that only root can use are here where programs make
// them for form's sake: an agent has no capabilities, so the kernel refuses.
var allowed = []entry{
	// Input and output on descriptors.
	{"read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2", "plain input and output", nil},
	{"close close_range dup dup2 dup3 lseek pipe pipe2 flock", "descriptors of the caller's own", nil},
	{"fcntl", "flags and locks; a lease would let a reader of a granted folder hold up everybody who opens its files outside",
		unless(unix.EINVAL, "without F_SETLEASE and F_NOTIFY", is(1, unix.F_SETLEASE, unix.F_NOTIFY))},
	{"fsync fdatasync sync syncfs sync_file_range msync", "durability: databases, package managers", nil},
	{"ftruncate truncate fallocate fadvise64 readahead", "size and read-ahead of files already open or writable", nil},
	{"sendfile splice tee copy_file_range", "copies without a detour: cp, Go and Node servers", nil},
	{"select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2", "event loops", nil},
	{"eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime", "event loops: wake-ups, signals, timers", nil},
	{"inotify_init inotify_init1 inotify_add_watch inotify_rm_watch", "file watchers of editors and build tools", nil},
	{"ioctl", "terminals, sizes and FICLONE; the refused ones type into or take over a terminal, or load a line discipline",
		unless(unix.EPERM, "without TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD", is(1, tiocsti, tioclinux, tioccons, tiocsetd))},

	// Names and attributes. Mounts and Landlock say which; this says only how.
	{"open", "opens files", open(1, 2)},
	{"openat", "opens files", open(2, 3)},
	{"creat mkdir", "creates files and directories", noSetID(1)},
	{"mkdirat", "creates directories", noSetID(2)},
	{"mknod", "creates fifos and sockets; devices never", mknod(1)},
	{"mknodat", "creates fifos and sockets; devices never", mknod(2)},
	{"chmod fchmod", "changes modes", noSetID(1)},
	{"fchmodat fchmodat2", "changes modes", noSetID(2)},
	{"chown fchown lchown fchownat", "tar, install and rsync try; without capabilities only the own group works", nil},
	{"stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2", "asks about files", nil},
	{"readlink readlinkat getdents getdents64 getcwd chdir fchdir umask", "walks directories", nil},
	{"rename renameat link linkat unlink unlinkat rmdir symlink symlinkat", "moves and removes names", nil},
	{"renameat2", "moves and exchanges names; a whiteout would be a device node",
		unless(unix.EINVAL, "without RENAME_WHITEOUT", set(4, unix.RENAME_WHITEOUT))},
	{"utime utimes utimensat futimesat", "sets times of files", nil},
	{"setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat", "attributes; trusted and security ones need capabilities", nil},
	{"getxattr lgetxattr fgetxattr getxattrat listxattr llistxattr flistxattr listxattrat", "reads attributes: cp, ls, tar", nil},
	{"memfd_create", "anonymous files: JITs, Wayland, Python", nil},

	// Memory of the caller's own.
	{"brk mmap munmap mremap mprotect madvise mincore mseal", "memory, JITs included", nil},
	{"mlock mlock2 mlockall munlock munlockall", "locked memory, bounded by RLIMIT_MEMLOCK", nil},
	{"pkey_alloc pkey_free pkey_mprotect map_shadow_stack", "hardening within a process: V8, glibc", nil},
	{"membarrier rseq", "barriers and restartable sequences of threading libraries", nil},
	{"shmget shmat shmctl shmdt semget semop semctl semtimedop", "System V memory and semaphores in the sandbox's own namespace: PostgreSQL", nil},

	// Processes and threads.
	{"fork vfork execve execveat exit exit_group wait4 waitid", "processes", nil},
	{"clone", "processes and threads; without new namespaces", unless(unix.EPERM, "without CLONE_NEW flags", set(0, cloneNew))},
	{"set_tid_address set_robust_list futex futex_waitv futex_wake futex_wait futex_requeue", "threads and their locks", nil},
	{"getpid getppid gettid getpgid getpgrp getsid setpgid setsid", "identity of processes, job control", nil},
	{"getuid geteuid getgid getegid getresuid getresgid getgroups", "who am I", nil},
	{"setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups", "programs that drop rights; without capabilities only to ids already held", nil},
	{"capget capset", "asks for and drops capabilities; there are none to gain", nil},
	{"kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal", "signals, within the sandbox's own process tree", nil},
	{"rt_sigaction rt_sigprocmask rt_sigpending rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack pause restart_syscall", "handling signals", nil},
	{"prctl", "names, death signals, hardening of the caller", prctl()},
	{"arch_prctl", "thread-local storage, AMX and shadow stacks of the caller", nil},
	{"personality", "asks for the execution domain", only(unix.EPERM, "only 0 and the query", is(0, 0, personalityQuery))},
	{"uretprobe uprobe", "made by the kernel's own trampolines when the host traces a program; refusing would crash it", nil},
	{"seccomp", "programs confine themselves further; a listener of theirs could race with the supervisor's",
		unless(unix.EPERM, "without SECCOMP_FILTER_FLAG_NEW_LISTENER", is(0, unix.SECCOMP_SET_MODE_FILTER), set(1, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER))},
	{"landlock_create_ruleset landlock_add_rule landlock_restrict_self", "programs confine themselves further", nil},

	// Scheduling, limits, time, the machine.
	{"sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_getattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval", "asks about scheduling", nil},
	{"sched_setaffinity sched_setparam sched_setscheduler sched_setattr", "scheduling, within rlimits and the cgroup", notInit(0)},
	{"getpriority ioprio_get getcpu", "asks about nice values and placement", nil},
	{"setpriority", "nice values of the agent's own", nice(unix.PRIO_PROCESS, unix.PRIO_USER)},
	{"ioprio_set", "disk priorities of the agent's own", nice(1, 3)}, // IOPRIO_WHO_PROCESS and _USER
	{"getrlimit getrusage times", "limits and use of the caller's own", nil},
	{"setrlimit", "limits of the caller's own; that of core files keeps the host's crash handler away", setrlimit()},
	{"prlimit64", "limits of the caller's own; those of init are not the agent's to lower", prlimit()},
	{"time gettimeofday clock_gettime clock_getres nanosleep clock_nanosleep alarm getitimer setitimer", "reads clocks, sleeps", nil},
	{"timer_create timer_settime timer_gettime timer_getoverrun timer_delete", "timers", nil},
	{"uname sysinfo getrandom", "the machine, random numbers", nil},

	// Sockets: in the sandbox's own network namespace.
	{"socket", "see the limit", socket(true)},
	{"socketpair", "pairs of local sockets: Node's spawn, asyncio", only(unix.EAFNOSUPPORT, "only AF_UNIX", is(0, unix.AF_UNIX))},
	{"bind connect listen accept accept4 shutdown getsockname getpeername getsockopt recvfrom recvmsg recvmmsg", "sockets that socket permitted", nil},
	{"sendmsg", "sends; urgent data has a record of kernel holes and no users", noUrgent(2)},
	{"sendto sendmmsg", "sends; urgent data has a record of kernel holes and no users", noUrgent(3)},
	{"setsockopt", "options; not kernel TLS nor BPF on sockets, large and seldom used code", &rule{[]clause{
		when(refuse(unix.ENOPROTOOPT), is(1, unix.SOL_TCP), is(2, unix.TCP_ULP)),
		when(refuse(unix.ENOPROTOOPT), is(1, unix.SOL_SOCKET), is(2, unix.SO_ATTACH_FILTER, unix.SO_ATTACH_BPF, unix.SO_ATTACH_REUSEPORT_CBPF, unix.SO_ATTACH_REUSEPORT_EBPF)),
	}, permit, "without TCP_ULP and SO_ATTACH_*"}},
}
