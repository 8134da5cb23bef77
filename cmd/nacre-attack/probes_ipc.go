package main

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func ipcProbes() []probe {
	return []probe{
		{id: "others.sysv-shm", ref: "sysvipc(7), ipc_namespaces(7)", proof: wire.BySecret, bare: true, needs: []string{"canary:shm"},
			how: "attach a shared memory segment of the host by its identifier", good: "no such segment", run: sysvShm},
		{id: "others.sysv-msg", ref: "msgrcv(2), ipc_namespaces(7)", proof: wire.BySecret, bare: true, needs: []string{"canary:msg"},
			how: "receive a copy of a message from a queue of the host", good: "no such queue", run: sysvMsg},
		{id: "others.posix-mq", ref: "mq_overview(7)", proof: wire.BySecret, bare: true, needs: []string{"canary:queue"},
			how: "open a POSIX message queue of the host by its name", good: "no such queue", run: posixQueue},
		{id: "others.dev-shm", ref: "shm_overview(7)", proof: wire.BySecret, bare: true, needs: []string{"canary:devshm"},
			how: "open a POSIX shared memory object of the host", good: "a /dev/shm of its own, or none", run: func(c *wire.Config, _ *probe) outcome {
				return steal(c, c.DevShm)
			}},
		{id: "others.user-keyring", ref: "keyrings(7): keyrings know no container", proof: wire.BySecret, bare: true, needs: []string{"canary:key"},
			how: "find and read a key that the owner keeps in the user keyring", good: "keyctl is refused, or the keyring is another", run: userKeyring},
		{id: "others.proc-keys", ref: "proc_keys(5)", bare: true, needs: []string{"canary:key"},
			how: "find the description of the owner's key in /proc/keys", good: "masked or empty", run: procKeys},
		{id: "others.sysv-listing", ref: "proc_sysvipc(5)", bare: true, needs: []string{"canary:shm"},
			how: "find the host's segment in /proc/sysvipc/shm", good: "not listed", run: sysvListing},
	}
}

func sysvShm(c *wire.Config, _ *probe) outcome {
	data, err := unix.SysvShmAttach(c.ShmID, 0, unix.SHM_RDONLY)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer unix.SysvShmDetach(data)
	if o, ok := stolen(c, "the host's segment", data); ok {
		return o
	}
	return contained("a segment with that identifier, but not the host's")
}

func sysvMsg(c *wire.Config, _ *probe) outcome {
	var message struct {
		kind int64
		text [256]byte
	}
	const copyFlag = 0o40000 // MSG_COPY leaves the message in the queue
	n, err := call(unix.SYS_MSGRCV, uintptr(c.MsgID), uintptr(unsafe.Pointer(&message)), 256, 0, unix.IPC_NOWAIT|copyFlag)
	if err == unix.ENOSYS { // a kernel without checkpoint and restore
		n, err = call(unix.SYS_MSGRCV, uintptr(c.MsgID), uintptr(unsafe.Pointer(&message)), 256, 0, unix.IPC_NOWAIT)
	}
	if err != nil {
		return contained("%s", errnoName(err))
	}
	if o, ok := stolen(c, "the host's queue", message.text[:n]); ok {
		return o
	}
	return contained("a queue with that identifier, but not the host's")
}

func posixQueue(c *wire.Config, _ *probe) outcome {
	fd, err := call(unix.SYS_MQ_OPEN, pointer(c.Queue), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0, 0)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer unix.Close(int(fd))
	buffer := make([]byte, 8192)
	deadline := unix.Timespec{Sec: time.Now().Unix()}
	n, err := call(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0, uintptr(unsafe.Pointer(&deadline)))
	if err != nil {
		return escaped("the host's queue opens, no message: %s", errnoName(err))
	}
	if o, ok := stolen(c, "the host's queue", buffer[:n]); ok {
		return o
	}
	return escaped("the host's queue opens")
}

func userKeyring(c *wire.Config, _ *probe) outcome {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", c.Key, 0)
	if err != nil {
		return contained("search: %s", errnoName(err))
	}
	buffer := make([]byte, 256)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buffer, 0)
	if err != nil {
		return contained("found, read: %s", errnoName(err))
	}
	if o, ok := stolen(c, "the user keyring", buffer[:min(n, len(buffer))]); ok {
		return o
	}
	return contained("a key of that name without the secret")
}

func procKeys(c *wire.Config, _ *probe) outcome { return listing("/proc/keys", c.Key) }

func sysvListing(c *wire.Config, _ *probe) outcome {
	// The listing is inside escaped only with the owner's identifier in it.
	return listing("/proc/sysvipc/shm", fmt.Sprintf(" %10d ", c.ShmID))
}

func listing(path, what string) outcome {
	data, err := os.ReadFile(path)
	switch {
	case err != nil:
		return contained("%s", errnoName(rootCause(err)))
	case contains(data, what):
		return escaped("%s shows it", path)
	}
	return contained("%s: %d bytes, not in it", path, len(data))
}
