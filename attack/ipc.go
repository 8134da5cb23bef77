package attack

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file uses raw calls: System V and POSIX IPC have no other door in Go.

// plantIPC leaves a secret in every kind of IPC that the machine has.
func (w *world) plantIPC() {
	w.try("shm", w.plantShm())
	w.try("msg", w.plantMsg())
	w.try("queue", w.plantQueue())
	w.try("key", w.plantKey())
	w.config.DevShm = devShm(w.config.Run)
	w.closers = append(w.closers, func() { os.Remove(w.config.DevShm) })
	w.try("devshm", os.WriteFile(w.config.DevShm, []byte(w.secret("dev-shm")), 0o644))
}

func (w *world) plantShm() error {
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o644)
	if err != nil {
		return err
	}
	w.config.ShmID = id
	w.closers = append(w.closers, func() { unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	w.left.Shm = &id
	if err := w.remember(); err != nil {
		return err
	}
	data, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return err
	}
	copy(data, w.secret("sysv-shm"))
	return unix.SysvShmDetach(data)
}

func (w *world) plantMsg() error {
	id, _, errno := syscall.Syscall(unix.SYS_MSGGET, unix.IPC_PRIVATE, unix.IPC_CREAT|0o644, 0)
	if errno != 0 {
		return errno
	}
	w.config.MsgID = int(id)
	w.closers = append(w.closers, func() { syscall.Syscall(unix.SYS_MSGCTL, id, unix.IPC_RMID, 0) })
	w.left.Msg = &w.config.MsgID
	if err := w.remember(); err != nil {
		return err
	}
	message := struct {
		kind int64
		text [128]byte
	}{kind: 1}
	copy(message.text[:], w.secret("sysv-msg"))
	// Several copies: a receiver may take one.
	for range 4 {
		if _, _, errno := syscall.Syscall6(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&message)), 128, unix.IPC_NOWAIT, 0, 0); errno != 0 {
			return errno
		}
	}
	return nil
}

func (w *world) plantQueue() error {
	w.config.Queue = queueName(w.config.Run)
	name, err := unix.BytePtrFromString(w.config.Queue)
	if err != nil {
		return err
	}
	fd, _, errno := syscall.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o644, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	w.closers = append(w.closers, func() { _ = removeQueue(w.config.Queue) })
	defer unix.Close(int(fd))
	text := []byte(w.secret("posix-mq"))
	for range 4 {
		if _, _, errno := syscall.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0, 0, 0); errno != 0 {
			return errno
		}
	}
	return nil
}

func (w *world) plantKey() error {
	w.config.Key = queueName(w.config.Run)
	id, err := unix.AddKey("user", w.config.Key, []byte(w.secret("keyring")), unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0) })
	return nil
}

// removeQueue removes a POSIX queue, by its name.
func removeQueue(queue string) error {
	name, err := unix.BytePtrFromString(queue)
	if err != nil {
		return err
	}
	if _, _, errno := syscall.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// removeKey takes a key out of the user's keyring, by its description.
func removeKey(description string) {
	if id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", description, 0); err == nil {
		unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
	}
}

// removeShm removes a segment that this user had made by a process.
func removeShm(id, pid int) {
	var is unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &is); err == nil && int(is.Perm.Cuid) == os.Geteuid() && int(is.Cpid) == pid && is.Nattch == 0 {
		unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	}
}

// msgDesc is struct msqid64_ds (msgctl(2)).
type msgDesc struct {
	perm                unix.SysvIpcPerm
	_                   [3]int64 // times
	bytes, number, most uint64
	sender, receiver    int32
	_                   [2]uint64
}

// removeMsg removes a queue that this user made, and that a process was the last to write to.
func removeMsg(id, pid int) {
	var is msgDesc
	_, _, errno := syscall.Syscall(unix.SYS_MSGCTL, uintptr(id), unix.IPC_STAT, uintptr(unsafe.Pointer(&is)))
	if errno == 0 && int(is.perm.Cuid) == os.Geteuid() && int(is.sender) == pid {
		syscall.Syscall(unix.SYS_MSGCTL, uintptr(id), unix.IPC_RMID, 0)
	}
}
