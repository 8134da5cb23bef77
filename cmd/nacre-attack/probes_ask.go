package main

import (
	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// ask is a privileged system call with arguments that cannot succeed. The
// kernel checks the permission first, so the error tells whether it was had:
// EPERM (or a filter's answer) means contained, an error in past means that
// only the arguments were refused.
type ask struct {
	id, ref, what string
	past          []error
	call          func() error
}

// askProbes are the calls that need one of the great capabilities. None is
// marked bare: they are meant for a sandbox, though none can succeed.
func askProbes() []probe {
	var rows []probe
	for _, a := range asks() {
		rows = append(rows, probe{id: a.id, ref: a.ref, how: "ask for " + a.what + " with arguments that the kernel refuses only after the permission check",
			good: "the permission is refused",
			run: func(*wire.Config, *probe) outcome {
				var d doors
				d.tried(a.what, a.call(), a.past...)
				return d.outcome()
			}})
	}
	return rows
}

func asks() []ask {
	const none = ^uintptr(0)
	nowhere := pointer("/nacre-attack-none")
	sys := func(number uintptr, args ...uintptr) func() error {
		return func() error { _, err := call(number, args...); return err }
	}
	return []ask{
		{"kernel.module-init", "init_module(2)", "loading an empty module", []error{unix.EFAULT, unix.ENOEXEC, unix.EINVAL}, sys(unix.SYS_INIT_MODULE, 0, 0, nowhere)},
		{"kernel.module-finit", "finit_module(2)", "loading a module from no descriptor", []error{unix.EBADF, unix.EINVAL}, sys(unix.SYS_FINIT_MODULE, none, nowhere, 0)},
		{"kernel.module-delete", "delete_module(2)", "removing a module that is not there", []error{unix.ENOENT}, sys(unix.SYS_DELETE_MODULE, pointer("nacre_attack_none"), unix.O_NONBLOCK)},
		{"kernel.kexec", "kexec_load(2)", "a new kernel with invalid flags", []error{unix.EINVAL}, sys(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0xffff)},
		{"kernel.reboot", "reboot(2)", "a reboot with the wrong magic", []error{unix.EINVAL}, sys(unix.SYS_REBOOT, 1, 2, 3, 0)},
		{"kernel.swap", "swapon(2)", "swapping to a file that is not there", []error{unix.ENOENT}, sys(unix.SYS_SWAPON, nowhere, 0)},
		{"kernel.accounting", "acct(2)", "process accounting to a file that is not there", []error{unix.ENOENT}, sys(unix.SYS_ACCT, nowhere)},
		{"kernel.set-clock", "adjtimex(2)", "a clock tick of zero", []error{unix.EINVAL}, func() error {
			_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_TICK})
			return err
		}},
		{"kernel.set-hostname", "sethostname(2)", "a host name of negative length", []error{unix.EINVAL}, sys(unix.SYS_SETHOSTNAME, 0, none)},
		{"kernel.set-domainname", "setdomainname(2)", "a domain name of negative length", []error{unix.EINVAL}, sys(unix.SYS_SETDOMAINNAME, 0, none)},
		{"kernel.pivot-root", "pivot_root(2)", "a new root that is not there", []error{unix.ENOENT, unix.EINVAL}, sys(unix.SYS_PIVOT_ROOT, nowhere, nowhere)},
		{"kernel.chroot", "chroot(2)", "a chroot of this process alone to where it is", nil, sys(unix.SYS_CHROOT, pointer("."))},
		{"kernel.open-by-handle", "CVE-2014-3519, open_by_handle_at(2)", "opening a file by its handle", []error{unix.ESTALE}, openByHandle},
		{"kernel.fanotify", "fanotify_init(2)", "permission events for whole file systems", nil, func() error {
			return opened(unix.SYS_FANOTIFY_INIT, unix.FAN_CLASS_PRE_CONTENT, unix.O_RDONLY)
		}},
		{"kernel.memory-map-layout", "PR_SET_MM(2const)", "a descriptor that is not open as the program's file", []error{unix.EBADF}, sys(unix.SYS_PRCTL, unix.PR_SET_MM, unix.PR_SET_MM_EXE_FILE, none, 0, 0)},
	}
}

// openByHandle asks for a handle that the kernel itself gives, of the current
// folder: nothing is guessed.
func openByHandle() error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, ".", 0)
	if err != nil {
		return err
	}
	root, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	fd, err := unix.OpenByHandleAt(root, handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
