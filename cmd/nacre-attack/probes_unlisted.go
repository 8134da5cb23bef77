package main

// Attacks that no list of the time names, against newer parts of the kernel.
// This file uses unsafe and raw calls.

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func unlistedProbes() []probe {
	return []probe{
		{id: "kernel.unix-oob", ref: "CVE-2025-38236, send(2) MSG_OOB", bare: true,
			how: "send an urgent byte over a Unix socket of its own, by sendto, sendmsg and sendmmsg", good: "refused: nothing needs it", run: unixUrgent},
		{id: "kernel.wake-alarm", ref: "timerfd_create(2) CLOCK_BOOTTIME_ALARM, CAP_WAKE_ALARM", bare: true,
			how: "make a timer that would wake the machine from sleep", good: "refused", run: wakeAlarm},
		{id: "kernel.handles-without-mount", ref: "open_by_handle_at(2) with FD_PIDFS_ROOT (6.14) and FD_NSFS_ROOT (6.18)", bare: true,
			how: "take a handle of its own process and namespace, and open it again where no mount is needed: what can be opened so needs no /proc", good: "refused", run: handlesWithoutMount},
		{id: "kernel.mount-namespace-walk", ref: "ioctl_nsfs(2) NS_MNT_GET_NEXT and _PREV (6.12)", bare: true,
			how: "ask for the mount namespace before and after its own", good: "refused", run: mountNamespaceWalk},
		{id: "others.leases", ref: "fcntl(2) F_SETLEASE, F_NOTIFY", bare: true,
			how: "take a lease on a file of the granted folder, which holds up everybody outside who opens it, and ask for signals about shared folders", good: "refused", run: leases},
		{id: "exhaustion.core-scheduling", ref: "Documentation/admin-guide/hw-vuln/core-scheduling.rst",
			how: "give itself a cookie of its own, with which no stranger may run on the same core: its neighbours' processors stand idle", good: "refused", run: coreScheduling},
		{id: "exhaustion.terminals", ref: "pty(7), /proc/sys/kernel/pty/max", needs: []string{"path:/dev/ptmx"}, timeout: bombTimeout,
			how: "open up to 1,000 terminals: all containers and people of a machine share their number", good: "refused before", run: terminals},
		{id: "afterwards.attributes", ref: "acl(5), xattr(7), ioctl_iflags(2) FS_NODUMP_FL, file_setattr(2)", bare: true,
			how: "leave a file with an access list, an attribute of its own and the flag that keeps it out of backups", good: "refused; within write access it is noted", run: attributes},
		{id: "information.disk-identity", ref: "FS_IOC_GETFSUUID (6.9)", bare: true,
			how: "ask for the UUID of the file systems that it sees, which names the machine's disk", good: "refused; otherwise noted", run: diskIdentity},
		{id: "information.page-cache", ref: "preadv2(2) RWF_NOWAIT, cachestat(2), mincore(2); page cache attacks", bare: true,
			how: "ask which pages of a shared program are in memory: what others have run shows", good: "refused; where /usr is the host's it is noted", run: pageCache},
	}
}

func unixUrgent(*wire.Config, *probe) outcome {
	var d doors
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	urgent := []byte("!")
	_, err = call(unix.SYS_SENDTO, uintptr(pair[0]), uintptr(unsafe.Pointer(&urgent[0])), 1, unix.MSG_OOB)
	d.tried("sendto", err)
	d.tried("sendmsg", unix.Sendmsg(pair[0], urgent, nil, nil, unix.MSG_OOB))
	part := unix.Iovec{Base: &urgent[0], Len: 1}
	message := struct {
		header unix.Msghdr
		length uint32
	}{header: unix.Msghdr{Iov: &part, Iovlen: 1}}
	_, err = call(unix.SYS_SENDMMSG, uintptr(pair[0]), uintptr(unsafe.Pointer(&message)), 1, unix.MSG_OOB)
	d.tried("sendmmsg", err)
	return d.outcome()
}

func wakeAlarm(*wire.Config, *probe) outcome {
	var d doors
	d.tried("timerfd", opened(unix.SYS_TIMERFD_CREATE, unix.CLOCK_BOOTTIME_ALARM, unix.TFD_CLOEXEC))
	var id int32
	_, err := call(unix.SYS_TIMER_CREATE, unix.CLOCK_BOOTTIME_ALARM, 0, uintptr(unsafe.Pointer(&id)))
	d.tried("timer", err)
	return d.outcome()
}

// The roots of two file systems that are mounted nowhere.
const (
	pidfsRoot = -10002
	nsfsRoot  = -10003
)

func handlesWithoutMount(*wire.Config, *probe) outcome {
	var d doors
	process, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer unix.Close(process)
	namespace, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(namespace)
	}
	for _, at := range []struct {
		what     string
		fd, root int
	}{{"process", process, pidfsRoot}, {"namespace", namespace, nsfsRoot}} {
		handle, _, err := unix.NameToHandleAt(at.fd, "", unix.AT_EMPTY_PATH)
		if err == nil {
			var fd int
			if fd, err = unix.OpenByHandleAt(at.root, handle, unix.O_RDONLY|unix.O_CLOEXEC); err == nil {
				unix.Close(fd)
			}
		}
		d.tried(at.what, err)
	}
	return d.outcome()
}

// NS_MNT_GET_NEXT and _PREV: _IOR(0xb7, 11 and 12, a struct of 16 bytes).
const (
	nextMounts     = 2<<30 | 16<<16 | 0xb7<<8 | 11
	previousMounts = 2<<30 | 16<<16 | 0xb7<<8 | 12
)

func mountNamespaceWalk(*wire.Config, *probe) outcome {
	var d doors
	fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer unix.Close(fd)
	var about [16]byte
	binary.NativeEndian.PutUint32(about[:], 16)
	for what, request := range map[string]uintptr{"next": nextMounts, "previous": previousMounts} {
		d.tried(what, opened(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&about))))
	}
	return d.outcome()
}

func leases(c *wire.Config, _ *probe) outcome {
	var d doors
	name := filepath.Join(c.Folder, ".nacre-lease")
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer os.Remove(name)
	defer unix.Close(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK)
	d.tried("lease", err)
	for _, folder := range []string{c.Folder, "/usr/bin"} {
		at, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			const watch = 0x1 // DN_ACCESS, once: the signal SIGIO is ignored
			_, err = unix.FcntlInt(uintptr(at), unix.F_NOTIFY, watch)
			unix.Close(at)
		}
		d.tried("signals about "+folder, err)
	}
	return d.outcome()
}

func coreScheduling(*wire.Config, *probe) outcome {
	var d doors
	const schedCore, create, oneTask = 62, 1, 0
	// A processor without siblings answers ENODEV to whoever may ask.
	d.tried("cookie", unix.Prctl(schedCore, create, 0, oneTask, 0), unix.ENODEV)
	return d.outcome()
}

func terminals(*wire.Config, *probe) outcome {
	const end = 1000
	for i := range end {
		fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return contained("stopped at %d: %s", i, errnoName(err))
		}
		defer unix.Close(fd)
	}
	return escaped("%d terminals, no limit met", end)
}

func attributes(c *wire.Config, _ *probe) outcome {
	var d doors
	name := filepath.Join(c.Folder, ".nacre-attributes")
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer os.Remove(name)
	defer unix.Close(fd)
	noted := func(what string, err error) {
		if err == nil {
			d.note("%s", what)
		} else {
			d.tried(what, err)
		}
	}
	noted("an attribute", unix.Fsetxattr(fd, "user.nacre", []byte("planted"), 0))
	noted("an access list", unix.Fsetxattr(fd, "system.posix_acl_access", accessList(), 0))
	const noDump = 0x40
	noted("out of backups", unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, noDump))
	return d.outcome()
}

// accessList lets everybody read and write, as posix_acl_xattr.h has it.
func accessList() []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, tag := range []uint16{0x01, 0x04, 0x10, 0x20} { // owner, group, mask, others
		list = binary.LittleEndian.AppendUint16(list, tag)
		list = binary.LittleEndian.AppendUint16(list, 6)
		list = binary.LittleEndian.AppendUint32(list, ^uint32(0))
	}
	return list
}

func diskIdentity(c *wire.Config, _ *probe) outcome {
	var d doors
	const uuidOf = 2<<30 | 17<<16 | 0x15<<8 // _IOR(0x15, 0, a length and 16 bytes)
	for _, folder := range []string{c.Folder, "/usr", "/etc"} {
		fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		var uuid [17]byte
		if err == nil {
			_, err = call(unix.SYS_IOCTL, uintptr(fd), uuidOf, uintptr(unsafe.Pointer(&uuid)))
			unix.Close(fd)
		}
		if err == nil {
			d.note("%s tells", folder)
		} else {
			d.tried(folder, err)
		}
	}
	return d.outcome()
}

func pageCache(*wire.Config, *probe) outcome {
	var d doors
	names, _ := filepath.Glob("/usr/bin/*")
	for _, name := range names {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		defer unix.Close(fd)
		page := make([]byte, 4096)
		const unlessAtHand = 0x8 // RWF_NOWAIT
		if _, err = unix.Preadv2(fd, [][]byte{page}, 0, unlessAtHand); err == nil || err == unix.EAGAIN {
			d.note("a read that does not wait tells")
		} else {
			d.tried("preadv2", err)
		}
		const cachestat = 451
		area, counts := [2]uint64{0, 4096}, [5]uint64{}
		_, err = call(cachestat, uintptr(fd), uintptr(unsafe.Pointer(&area)), uintptr(unsafe.Pointer(&counts)), 0)
		if err == nil {
			d.note("cachestat tells")
		} else {
			d.tried("cachestat", err)
		}
		break
	}
	return d.outcome()
}
