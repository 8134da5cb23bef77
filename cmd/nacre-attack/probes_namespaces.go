package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func namespaceProbes() []probe {
	return []probe{
		{id: "kernel.mount", ref: "mount(2)",
			how: "mount a tmpfs on a folder of its own", good: "refused", run: mountOld},
		{id: "kernel.mount-api", ref: "fsopen(2), open_tree(2), CVE-2022-0185",
			how: "open a file system context, clone a mount and pick one", good: "refused", run: mountNew},
		{id: "kernel.remount", ref: "mount(2) MS_REMOUNT",
			how: "remount / and the granted folder with the flags that they have", good: "refused", run: remount},
		{id: "kernel.umount-masks", ref: "umount2(2) MNT_EXPIRE, MNT_LOCKED",
			how:  "ask to mark every mount as expired, which unmounts nothing but needs the same permission",
			good: "refused everywhere", run: umountMasks},
		{id: "kernel.setns", ref: "setns(2)",
			how: "enter the namespaces of pid 1, and its own by a descriptor and a pidfd", good: "refused", run: setns},
		{id: "kernel.namespace-parent", ref: "ioctl_nsfs(2)",
			how: "ask the kernel for a descriptor of the parent user and pid namespace", good: "refused", run: namespaceParent},
		{id: "kernel.userns-unshare", ref: "user_namespaces(7), CVE-2022-0492",
			how: "unshare a user namespace", good: "refused", run: forkRun("unshare", 0, unshareStep(unix.CLONE_NEWUSER))},
		{id: "kernel.userns-clone", ref: "clone(2)",
			how: "clone into a new user namespace", good: "refused", run: forkRun("clone", unix.CLONE_NEWUSER)},
		{id: "kernel.userns-clone3", ref: "clone3(2)",
			how: "the same by clone3, whose flags a filter cannot read", good: "refused, best with ENOSYS", run: clone3},
		{id: "kernel.userns-mount", ref: "CVE-2022-0185, CVE-2023-0386",
			how:  "user and mount namespace, then a tmpfs and an overlay there",
			good: "no user namespace, or no mount in it", run: usernsMount},
		{id: "kernel.userns-nftables", ref: "CVE-2022-32250, CVE-2024-1086",
			how: "user and network namespace, then a netfilter socket there", good: "no user namespace, or no such socket", run: forkRun("nftables", 0,
				unshareStep(unix.CLONE_NEWUSER|unix.CLONE_NEWNET),
				step{"socket", unix.SYS_SOCKET, [5]uintptr{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}})},
		{id: "kernel.other-namespaces", ref: "namespaces(7)",
			how: "unshare mount, pid, network, IPC, UTS, cgroup and time namespaces one by one", good: "refused", run: otherNamespaces},
		{id: "kernel.namespace-limits", ref: "namespaces(7), /proc/sys/user",
			how: "read and ask to raise the number of user namespaces that may exist", good: "0, or not writable", run: namespaceLimits},
	}
}

func unshareStep(flags uintptr) step {
	return step{"unshare", unix.SYS_UNSHARE, [5]uintptr{flags}}
}

func forkRun(what string, flags uintptr, steps ...step) func(*wire.Config, *probe) outcome {
	return func(*wire.Config, *probe) outcome {
		var d doors
		d.forked(what, flags, steps...)
		return d.outcome()
	}
}

func mountOld(*wire.Config, *probe) outcome {
	var d doors
	dir, err := os.MkdirTemp("", "nacre-attack-mount")
	if err != nil {
		dir = "/tmp"
	} else {
		defer os.Remove(dir)
	}
	for _, kind := range []string{"tmpfs", "proc", "sysfs", "cgroup2", "bpf"} {
		err := unix.Mount("none", dir, kind, unix.MS_RDONLY, "")
		d.tried(kind, err, unix.ENODEV)
		if err == nil {
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	}
	return d.outcome()
}

func mountNew(*wire.Config, *probe) outcome {
	var d doors
	cwd := unix.AT_FDCWD
	here := uintptr(cwd)
	d.tried("fsopen", opened(unix.SYS_FSOPEN, pointer("tmpfs"), unix.FSOPEN_CLOEXEC))
	d.tried("open_tree", opened(unix.SYS_OPEN_TREE, here, pointer("/"), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
	d.tried("fspick", opened(unix.SYS_FSPICK, here, pointer("/"), unix.FSPICK_CLOEXEC))
	_, err := call(unix.SYS_MOVE_MOUNT, here, pointer("/nacre-attack-none"), here, pointer("/"), 0)
	d.tried("move_mount", err, unix.ENOENT)
	return d.outcome()
}

func remount(c *wire.Config, _ *probe) outcome {
	var d doors
	for _, path := range []string{"/", c.Folder} {
		var st unix.Statfs_t
		if err := unix.Statfs(path, &st); err != nil {
			d.tried(path, err)
			continue
		}
		// The flags of statfs have the numbers of those of mount, but for
		// ST_RELATIME and ST_VALID.
		flags := uintptr(st.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
		d.tried(path, unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""), unix.EINVAL)
	}
	return d.outcome()
}

func umountMasks(*wire.Config, *probe) outcome {
	data, err := readSome("/proc/self/mountinfo")
	if err != nil {
		return contained("mountinfo: %s", errnoName(err))
	}
	var d doors
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[4] == "/" {
			continue
		}
		d.tried(fields[4], unix.Unmount(fields[4], unix.MNT_EXPIRE), unix.EAGAIN, unix.EBUSY)
		// Touching the mount takes the mark off again.
		unix.Stat(fields[4], &unix.Stat_t{})
	}
	return d.outcome()
}

func setns(*wire.Config, *probe) outcome {
	var d doors
	for _, whose := range []string{"1", "self"} {
		for _, kind := range []string{"user", "mnt", "net", "ipc", "uts", "cgroup"} {
			path := "/proc/" + whose + "/ns/" + kind
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				d.tried(path, err)
				continue
			}
			d.tried(path, unix.Setns(fd, 0))
			unix.Close(fd)
		}
	}
	if fd, err := unix.PidfdOpen(1, 0); err == nil {
		d.tried("pidfd of 1", unix.Setns(fd, unix.CLONE_NEWNET|unix.CLONE_NEWIPC))
		unix.Close(fd)
	}
	return d.outcome()
}

func namespaceParent(*wire.Config, *probe) outcome {
	var d doors
	for _, kind := range []string{"user", "pid"} {
		fd, err := unix.Open("/proc/self/ns/"+kind, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			d.tried(kind, err)
			continue
		}
		d.tried(kind, opened(unix.SYS_IOCTL, uintptr(fd), unix.NS_GET_PARENT))
		unix.Close(fd)
	}
	return d.outcome()
}

func clone3(*wire.Config, *probe) outcome {
	// clone3 with a size that is too small names the call without making a
	// process: EINVAL comes from the kernel, anything else from a filter.
	var d doors
	var args [8]uint64
	args[0] = unix.CLONE_NEWUSER
	_, err := call(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), 8)
	d.tried("clone3", err, unix.EINVAL)
	if len(d.open) > 0 && namespaceLimit() == "0" {
		return info("the call is reachable, but user.max_user_namespaces is 0")
	}
	return d.outcome()
}

func usernsMount(*wire.Config, *probe) outcome {
	var d doors
	mount := func(kind, data string) step {
		return step{"mount " + kind, unix.SYS_MOUNT, [5]uintptr{pointer("none"), pointer("/tmp"), pointer(kind), 0, pointer(data)}}
	}
	both := unshareStep(unix.CLONE_NEWUSER | unix.CLONE_NEWNS)
	d.forked("tmpfs", 0, both, mount("tmpfs", ""))
	d.forked("overlay", 0, both, mount("overlay", "lowerdir=/usr:/etc"))
	return d.outcome()
}

func otherNamespaces(*wire.Config, *probe) outcome {
	var d doors
	for name, flag := range map[string]uintptr{"mount": unix.CLONE_NEWNS, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET,
		"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME} {
		d.forked(name, 0, unshareStep(flag))
	}
	return d.outcome()
}

func namespaceLimit() string {
	data, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	if err != nil {
		return errnoName(rootCause(err))
	}
	return strings.TrimSpace(string(data))
}

func namespaceLimits(*wire.Config, *probe) outcome {
	const path = "/proc/sys/user/max_user_namespaces"
	err := canOpen(path, unix.O_WRONLY)
	if err == nil {
		return escaped("%s opens for writing (it is %s)", path, namespaceLimit())
	}
	return contained("%s", fmt.Sprintf("limit %s, open for writing: %s", namespaceLimit(), errnoName(err)))
}
