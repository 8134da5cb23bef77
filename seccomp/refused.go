package seccomp

// absent are the calls that answer ENOSYS, as if the kernel had none of them:
// those that libraries try before something older, and those that no kernel
// of today carries out.
var absent = []entry{
	{"clone3", "its flags are behind a pointer; libraries fall back to clone", nil},
	{"openat2", "its mode is behind a pointer; programs fall back to openat", nil},
	{"io_uring_setup io_uring_enter io_uring_register", "a second system call interface that no filter sees; Node tries it at start", nil},
	{"io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents", "old asynchronous I/O; databases fall back to threads", nil},
	{"statmount listmount listns", "lists mounts and namespaces; tools fall back to /proc", nil},
	{"lsm_get_self_attr lsm_set_self_attr lsm_list_modules", "labels of security modules; tools fall back to /proc", nil},
	{"file_getattr file_setattr", "inode flags; tools fall back to ioctl", nil},
	{"rseq_slice_yield", "too new to have users", nil},
	{"cachestat", "tells what others read; tools fall back to mincore", nil},
	{"afs_syscall create_module epoll_ctl_old epoll_wait_old get_kernel_syms getpmsg nfsservctl putpmsg query_module security tuxcall vserver _sysctl lookup_dcookie get_thread_area set_thread_area", "no longer in the kernel, or never on 64 bits", nil},
}

// refused are the calls that answer EPERM, each family with what it could do.
var refused = []entry{
	{"ptrace process_vm_readv process_vm_writev kcmp", "reads and steers other processes", nil},
	{"pidfd_getfd", "takes descriptors out of other processes", nil},
	{"process_madvise process_mrelease get_robust_list", "acts on the memory of other processes", nil},
	{"unshare setns", "makes and enters namespaces: fresh capabilities over old kernel code", nil},
	{"mount umount2 pivot_root chroot open_tree open_tree_attr move_mount mount_setattr fsopen fsconfig fsmount fspick", "changes what the sandbox sees", nil},
	{"name_to_handle_at open_by_handle_at", "opens files by number, past every directory above them", nil},
	{"bpf perf_event_open userfaultfd", "the kernel's richest sources of exploits", nil},
	{"vmsplice remap_file_pages", "odd corners of memory management; programs fall back", nil},
	{"memfd_secret", "memory that no supervisor could look into", nil},
	{"add_key request_key keyctl", "kernel keyrings are not divided by namespaces", nil},
	{"fanotify_init fanotify_mark", "watches whole file systems", nil},
	{"msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr", "message queues are few programs' need and many exploits' tool", nil},
	{"mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages", "placement on memory nodes; libnuma does without", nil},
	{"modify_ldt iopl ioperm", "segments and ports of the processor", nil},
	{"init_module finit_module delete_module kexec_load kexec_file_load", "changes the kernel", nil},
	{"reboot swapon swapoff acct quotactl quotactl_fd syslog", "runs the machine", nil},
	{"settimeofday clock_settime adjtimex clock_adjtime", "sets the clock; reading forms cannot be told apart", nil},
	{"sethostname setdomainname", "renames the machine", nil},
	{"vhangup uselib ustat sysfs", "obsolete", nil},
}
