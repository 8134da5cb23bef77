package main

import (
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func kernelProbes() []probe {
	return []probe{
		{id: "kernel.mknod", ref: "mknod(2)",
			how: "make a character and a block device in the private and the granted folder", good: "refused", run: mknod},
		{id: "kernel.ptrace", ref: "ptrace(2)",
			how: "let a child be traced", good: "refused: an agent needs no debugger unless its plan says so", run: ptraceSelf},
		{id: "kernel.bpf", ref: "bpf(2), CVE-2021-3490",
			how: "make the smallest map", good: "refused", run: bpf},
		{id: "kernel.perf", ref: "perf_event_open(2), CVE-2013-2094",
			how: "open a software counter of itself", good: "refused", run: perf},
		{id: "kernel.userfaultfd", ref: "userfaultfd(2)",
			how: "open it by the call, for user faults only, and by its device", good: "refused", run: userfaultfd},
		{id: "kernel.io-uring", ref: "io_uring_setup(2), CVE-2022-29582",
			how: "set up a ring with one entry", good: "refused", run: ioUring},
		{id: "kernel.keyrings", ref: "keyrings(7), CVE-2016-0728",
			how: "ask for the session keyring and add a key to the process keyring", good: "refused", run: keyrings},
		{id: "kernel.ia32-entry", ref: "CVE-2009-0835, seccomp(2) on architectures", needs: []string{"arch:amd64"}, bare: true,
			how: "enter the kernel by int 0x80 with the 32-bit number of getpid", good: "killed or refused", run: ia32},
		{id: "kernel.x32-entry", ref: "CVE-2014-0038, seccomp(2)", needs: []string{"arch:amd64"}, bare: true,
			how: "call getpid and execve with the x32 bit set", good: "killed or refused", run: x32},
		{id: "kernel.personality", ref: "personality(2)", bare: true,
			how: "turn off address randomisation and make readable memory executable for itself", good: "refused", run: personality},
		{id: "kernel.memory-devices", ref: "mem(4), proc_kcore(5)", bare: true,
			needs: []string{"path:/dev/mem|/dev/kmem|/dev/port|/proc/kcore"},
			how:   "open the machine's memory and ports", good: "not there, or refused", run: memoryDevices},
		{id: "kernel.devices", ref: "mount(2) MS_NODEV, cgroup-v1 devices", bare: true,
			needs: []string{"path:/dev/vda|/dev/sda|/dev/nvme0n1|/dev/loop0|/dev/loop-control|/dev/fuse|/dev/kvm|/dev/net/tun|/dev/dm-0"},
			how:   "open block devices, hypervisor, tunnels, loop and input devices", good: "not there, or refused", run: devices},
		{id: "kernel.kallsyms", ref: "proc_kallsyms(5), kptr_restrict", bare: true, needs: []string{"path:/proc/kallsyms"},
			how: "read addresses of kernel functions", good: "not readable, or all zero", run: kallsyms},
		{id: "kernel.fanotify-unprivileged", ref: "fanotify_init(2), FAN_REPORT_FID", bare: true,
			how: "open the fanotify that plain users may have", good: "refused; where it opens it can do what inotify can, and is noted", run: fanotify},
		{id: "kernel.core-handler", ref: "core(5), CVE-2025-4598, CVE-2025-5054", bare: true,
			how: "look whether a crash in here would start the host's core handler with a name chosen in here", good: "no handler, or this process is not dumpable", run: coreHandler},
	}
}

func mknod(c *wire.Config, _ *probe) outcome {
	var d doors
	for _, dir := range []string{"/tmp", "/dev", c.Folder} {
		for what, mode := range map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK} {
			path := filepath.Join(dir, "nacre-attack-"+what)
			number := unix.Mkdev(1, 11) // the kernel log; as a block device, a RAM disk
			d.tried(what+" in "+dir, unix.Mknod(path, mode|0o600, int(number)))
			os.Remove(path)
		}
	}
	return d.outcome()
}

func ptraceSelf(*wire.Config, *probe) outcome {
	var d doors
	d.forked("PTRACE_TRACEME", 0, step{"ptrace", unix.SYS_PTRACE, [5]uintptr{unix.PTRACE_TRACEME}})
	return d.outcome()
}

func bpf(*wire.Config, *probe) outcome {
	var d doors
	array := [32]uint32{2, 4, 4, 1} // BPF_MAP_TYPE_ARRAY, key, value, one entry
	d.tried("BPF_MAP_CREATE", opened(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&array)), 48))
	return d.outcome()
}

func perf(*wire.Config, *probe) outcome {
	var d doors
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_TASK_CLOCK, Bits: unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	d.tried("perf_event_open", err)
	return d.outcome()
}

func userfaultfd(*wire.Config, *probe) outcome {
	var d doors
	const userModeOnly = 1
	d.tried("userfaultfd", opened(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK))
	d.tried("userfaultfd user mode", opened(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|userModeOnly))
	d.tried("/dev/userfaultfd", canOpen("/dev/userfaultfd", unix.O_RDWR))
	return d.outcome()
}

func ioUring(*wire.Config, *probe) outcome {
	var d doors
	var params [120]byte
	d.tried("io_uring_setup", opened(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params))))
	return d.outcome()
}

func keyrings(*wire.Config, *probe) outcome {
	var d doors
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	d.tried("session keyring", err, unix.ENOKEY)
	_, err = unix.AddKey("user", "nacre-attack", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	d.tried("add_key", err)
	return d.outcome()
}

func personality(*wire.Config, *probe) outcome {
	var d doors
	for what, bits := range map[string]uintptr{"ADDR_NO_RANDOMIZE": 0x40000, "READ_IMPLIES_EXEC": 0x400000, "MMAP_PAGE_ZERO": 0x100000, "PER_LINUX32": 8} {
		_, err := call(unix.SYS_PERSONALITY, bits)
		d.tried(what, err)
	}
	call(unix.SYS_PERSONALITY, 0)
	return d.outcome()
}

func memoryDevices(*wire.Config, *probe) outcome {
	var d doors
	for _, path := range []string{"/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore"} {
		d.tried(path, canOpen(path, unix.O_RDONLY))
	}
	return d.outcome()
}

// deviceNames are devices whose mere opening does nothing. A watchdog is not
// among them: opening one starts it.
var deviceNames = [...]string{"vda", "sda", "nvme0n1", "dm-0", "loop0", "loop-control", "mapper/control", "fuse", "kvm",
	"net/tun", "vhost-net", "vhost-vsock", "uinput", "input/event0", "dri/card0", "snd/controlC0", "btrfs-control", "cuse", "hpet", "vfio/vfio"}

func devices(*wire.Config, *probe) outcome {
	var d doors
	for _, name := range deviceNames {
		d.tried("/dev/"+name, canOpen("/dev/"+name, unix.O_RDONLY))
	}
	return d.outcome()
}

func kallsyms(*wire.Config, *probe) outcome {
	data, err := readSome("/proc/kallsyms")
	if err != nil {
		return contained("%s", errnoName(err))
	}
	for line := range strings.Lines(string(data)) {
		if address, _, _ := strings.Cut(line, " "); strings.Trim(address, "0\n") != "" {
			return escaped("addresses are shown")
		}
	}
	return contained("readable, but every address is zero")
}

func fanotify(*wire.Config, *probe) outcome {
	err := opened(unix.SYS_FANOTIFY_INIT, unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID|unix.FAN_CLOEXEC, unix.O_RDONLY)
	if err == nil {
		return info("opens, with the rights of a plain user")
	}
	return contained("%s", errnoName(err))
}

func coreHandler(*wire.Config, *probe) outcome {
	data, err := readSome("/proc/sys/kernel/core_pattern")
	if err != nil {
		return contained("core_pattern: %s", errnoName(err))
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if strings.HasPrefix(string(data), "@") && dumpable == 1 { // since Linux 6.16, whatever the limit is
		return info("a crash in here hands this program's memory to %q on the host", strings.TrimSpace(string(data)))
	}
	if !strings.HasPrefix(string(data), "|") || err != nil || dumpable != 1 {
		return contained("core_pattern %q, dumpable %d", strings.TrimSpace(string(data)), dumpable)
	}
	return info("a crash in here runs %q on the host, with this program's name among its arguments", strings.TrimSpace(string(data)))
}
