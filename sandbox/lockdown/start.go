package lockdown

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"nacre/sandbox/layer"
	"nacre/sandbox/spawn"
)

// Options are what differs from machine to machine.
type Options struct {
	UID        int  // to become, where the caller is root; 0: none
	NoLandlock bool // the owner accepted to go without it
	Group      int  // a descriptor of the v2 control group to be born into; negative: none
}

const (
	// namespaces are what it has of its own, besides user and processes. The network
	// is its owner's, in which it dials.
	namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	noFixup    = 1 << 2 // SECBIT_NO_SETUID_FIXUP of capabilities(7)
	above      = 64     // the descriptors that it is given
)

// Start starts a program of Nacre's own without rights: as a user of its own
// where the caller is root, in namespaces of its own, with an empty root, without
// capabilities or a way to new ones, and with no file but itself (Landlock). All this
// is done before the program's first instruction, and so holds for all of its threads.
// The program then calls Enter.
func Start(program string, args []string, files []*os.File, o Options) (*spawn.Child, error) {
	self, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer self.Close()
	var p spawn.Program
	p.Call("session", unix.SYS_SETSID)
	born, entered := uint64(unix.CLONE_NEWPID|unix.CLONE_NEWUSER), namespaces
	switch root := os.Geteuid() == 0; {
	case root && o.UID <= 0:
		return nil, errors.New("root, and no uid to become")
	case root:
		p.Call("setgroups", unix.SYS_SETGROUPS, 0, 0)
		p.Call("setresgid", unix.SYS_SETRESGID, o.UID, o.UID, o.UID)
		// A user namespace may be root's alone to make: capabilities stay until then.
		p.Call("securebits", unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, noFixup, 0, 0, 0)
		p.Call("setresuid", unix.SYS_SETRESUID, o.UID, o.UID, o.UID)
		born, entered = unix.CLONE_NEWPID, namespaces|unix.CLONE_NEWUSER
	}
	p.Call("namespaces", unix.SYS_UNSHARE, entered)
	context := p.Call("root", unix.SYS_FSOPEN, "tmpfs", unix.FSOPEN_CLOEXEC)
	p.Call("root", unix.SYS_FSCONFIG, context, unix.FSCONFIG_CMD_CREATE, 0, 0, 0)
	p.Call("root", unix.SYS_FCHDIR, p.Call("root", unix.SYS_FSMOUNT, context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOEXEC))
	p.Call("root", unix.SYS_CHROOT, ".") // there is nothing in it, and it is attached nowhere
	p.Call("no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	ruleset, err := itself(self)
	defer unix.Close(ruleset)
	switch {
	case err == nil:
		p.Call("landlock", unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
	case !o.NoLandlock:
		return nil, err
	}
	image := p.Call("program", unix.SYS_FCNTL, self.Fd(), unix.F_DUPFD_CLOEXEC, above)
	p.Descriptors(files)
	p.Call("descriptors", unix.SYS_CLOSE_RANGE, len(files), uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC) // what our caller's shell left open
	p.Call("signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, make([]byte, 8), 0, 8)
	// By descriptor: there is no way to it any more. Nobody is root in the user
	// namespace, so all capabilities in it end here.
	p.Call("execute", unix.SYS_EXECVEAT, image, "", args, []string{}, unix.AT_EMPTY_PATH)
	return p.Start(born, o.Group)
}

// itself is a ruleset that leaves no file but the program, to execute, and no
// port to listen at.
func itself(program *os.File) (int, error) {
	abi, err := layer.LandlockABI()
	if err != nil {
		return -1, err
	}
	attr := layer.Handled(abi)
	attr.Handled_access_net &^= unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	ruleset, err := layer.Ruleset(attr)
	if err == nil {
		err = layer.Allow(ruleset, int(program.Fd()), unix.LANDLOCK_ACCESS_FS_EXECUTE|unix.LANDLOCK_ACCESS_FS_READ_FILE)
	}
	return ruleset, err
}
