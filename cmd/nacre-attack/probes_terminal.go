package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func terminalProbes() []probe {
	return []probe{
		{id: "others.tiocsti", ref: "CVE-2017-5226, ioctl_tty(2)",
			how: "push a character into the input of a terminal of its own", good: "refused", run: pushInput(0)},
		{id: "others.tiocsti-high-bits", ref: "CVE-2019-10063, CVE-2019-7303",
			how:  "the same with bits above the 32nd set, which the kernel ignores and a careless filter compares",
			good: "refused", run: pushInput(1 << 32)},
		{id: "others.tioclinux", ref: "CVE-2023-28100",
			how: "ask the virtual console for its selection, with and without high bits", good: "refused by a filter, whatever the terminal is", run: consoleSelection},
		{id: "others.host-terminal", ref: "pty(7)", proof: wire.ByArrival, bare: true, needs: []string{"canary:terminal"},
			how: "write to a terminal of the host by its /dev/pts path", good: "no such terminal inside", run: hostTerminal},
		{id: "others.terminal-session", ref: "setsid(2), tty_ioctl(4)", bare: true, tty: true, alone: true, proof: wire.ByClaim,
			how:  "look whether standard input is the launcher's own terminal rather than one made for the sandbox",
			good: "a terminal of the sandbox's own, or none", run: terminalSession},
	}
}

// pushInput asks for TIOCSTI on a fresh pseudo-terminal, so that whatever gets
// through lands nowhere.
func pushInput(high uintptr) func(*wire.Config, *probe) outcome {
	return func(*wire.Config, *probe) outcome {
		char := [1]byte{'x'}
		fd, note := ownTerminal()
		_, err := call(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI|high, uintptr(unsafe.Pointer(&char)))
		var d doors
		// With no terminal to be had, ENOTTY and EBADF show that no filter spoke.
		d.tried("TIOCSTI on "+note, err, unix.ENOTTY, unix.EBADF)
		if err == unix.EIO {
			return contained("EIO: dev.tty.legacy_tiocsti is 0")
		}
		return d.outcome()
	}
}

// ownTerminal opens a pseudo-terminal and answers its far end.
func ownTerminal() (int, string) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, "standard input (no /dev/ptmx)"
	}
	unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return master, "the master"
	}
	// Opened without O_NOCTTY it becomes the controlling terminal of this
	// probe's session, which TIOCSTI asks of plain users.
	slave, err := unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return master, "the master"
	}
	return slave, "a terminal of its own"
}

func consoleSelection(*wire.Config, *probe) outcome {
	var d doors
	fd, note := ownTerminal()
	sub := [2]byte{6} // report the shift state
	_, err := call(unix.SYS_IOCTL, uintptr(fd), unix.TIOCLINUX, uintptr(unsafe.Pointer(&sub)))
	d.tried("TIOCLINUX on "+note, err, unix.ENOTTY, unix.EINVAL)
	_, err = call(unix.SYS_IOCTL, uintptr(fd), unix.TIOCLINUX|1<<32, uintptr(unsafe.Pointer(&sub)))
	d.tried("TIOCLINUX with high bits", err, unix.ENOTTY, unix.EINVAL)
	return d.outcome()
}

func hostTerminal(c *wire.Config, p *probe) outcome {
	fd, err := unix.Open(c.Terminal, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return contained("%s: %s", c.Terminal, errnoName(err))
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, arrival(c, p))
	return escaped("%s opens; write: %v", c.Terminal, err)
}

func terminalSession(*wire.Config, *probe) outcome {
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		return contained("standard input is no terminal: %s", errnoName(err))
	}
	name, _ := os.Readlink("/proc/self/fd/0")
	var here, fd unix.Stat_t
	if err := unix.Fstat(0, &fd); err != nil {
		return failed("standard input: %v", err)
	}
	// A terminal whose node does not exist in the sandbox's own /dev/pts
	// belongs to somebody outside.
	if err := unix.Stat(name, &here); err != nil || !strings.HasPrefix(name, "/dev/") || here.Dev != fd.Dev || here.Ino != fd.Ino {
		return escaped("standard input is a terminal from outside (%s)", name)
	}
	if sid, err := unix.IoctlGetInt(0, unix.TIOCGSID); err != nil || sid == 0 {
		return escaped("the session of the terminal %s lies outside (%d, %v)", name, sid, err)
	}
	return contained("%s, of this sandbox's own", name)
}
