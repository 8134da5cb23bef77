package lockdown

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/spawn"
)

// Options are what differs from machine to machine.
type Options struct {
	UID        int  // to become, where the caller is root; 0: none
	NoLandlock bool // the owner accepted to go without it
	Group      int  // a descriptor of the v2 control group to be born into; negative: none
}

// Start starts a program of Nacre's own without rights: as a user of its own
// where the caller is root, without capabilities or a way to new ones, and with
// no file but itself (Landlock). All this is done before the program's first
// instruction, and so holds for all of its threads. The program then calls Enter.
func Start(program string, args []string, files []*os.File, o Options) (*spawn.Child, error) {
	self, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer self.Close()
	var p spawn.Program
	p.Call("session", unix.SYS_SETSID)
	if os.Geteuid() == 0 {
		if o.UID <= 0 {
			return nil, errors.New("root, and no uid to become")
		}
		p.Call("setgroups", unix.SYS_SETGROUPS, 0, 0)
		p.Call("setresgid", unix.SYS_SETRESGID, o.UID, o.UID, o.UID)
		p.Call("setresuid", unix.SYS_SETRESUID, o.UID, o.UID, o.UID) // with it go all capabilities
	}
	p.Call("no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	ruleset, err := itself(self)
	switch {
	case err == nil:
		defer unix.Close(ruleset)
		p.Call("landlock", unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
	case !o.NoLandlock:
		return nil, err
	}
	const above = 64 // the descriptors that it is given
	image := p.Call("program", unix.SYS_FCNTL, self.Fd(), unix.F_DUPFD_CLOEXEC, above)
	p.Descriptors(files)
	p.Call("signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, make([]byte, 8), 0, 8)
	// By descriptor: the way to it may be closed to its new user.
	p.Call("execute", unix.SYS_EXECVEAT, image, "", args, []string{}, unix.AT_EMPTY_PATH)
	return p.Start(0, o.Group)
}

// itself is a ruleset that leaves no file but the program, to execute, and no
// port to listen at.
func itself(program *os.File) (int, error) {
	abi, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return -1, e
	}
	attr, size := unix.LandlockRulesetAttr{Handled_access_fs: 1<<13 - 1}, uintptr(8) // all of the first ABI
	for _, newer := range []struct {
		abi         uintptr
		fs, net, sc uint64
		size        uintptr
	}{
		{2, unix.LANDLOCK_ACCESS_FS_REFER, 0, 0, 8},
		{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0, 8},
		{4, 0, unix.LANDLOCK_ACCESS_NET_BIND_TCP, 0, 16},
		{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0, 16},
		{6, 0, 0, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL, 24},
	} {
		if abi >= newer.abi {
			attr.Handled_access_fs |= newer.fs
			attr.Handled_access_net |= newer.net
			attr.Scoped |= newer.sc
			size = newer.size
		}
	}
	fd, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return -1, e
	}
	unix.CloseOnExec(int(fd))
	rule := unix.LandlockPathBeneathAttr{Allowed_access: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE, Parent_fd: int32(program.Fd())}
	_, _, e = unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if e != 0 {
		unix.Close(int(fd))
		return -1, e
	}
	return int(fd), nil
}
