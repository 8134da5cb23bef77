package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func privilegeProbes() []probe {
	return []probe{
		{id: "kernel.capabilities", ref: "capabilities(7)", bare: true,
			how:  "read the effective, permitted, inheritable and ambient sets",
			good: "all are empty", run: capabilities},
		{id: "kernel.bounding-set", ref: "capabilities(7)", bare: true,
			how:  "read the bounding set",
			good: "it is empty; with no_new_privs a full one is only noted", run: boundingSet},
		{id: "kernel.raise-capabilities", ref: "capset(2), PR_CAP_AMBIENT(2const)", bare: true,
			how:  "give itself CAP_SYS_ADMIN by capset and as an ambient capability",
			good: "refused", run: raiseCapabilities},
		{id: "kernel.no-new-privs", ref: "PR_SET_NO_NEW_PRIVS(2const)", bare: true,
			how:  "read whether exec can give privileges",
			good: "NoNewPrivs is 1", run: noNewPrivs},
		{id: "kernel.seccomp-mode", ref: "seccomp(2)", bare: true,
			how:  "read whether a system call filter is loaded",
			good: "Seccomp is 2", run: seccompMode},
		{id: "kernel.setuid-exec", ref: "CVE-2021-4034, execve(2)", bare: true,
			how:  "start setuid programs that wait for input and look at their effective uid",
			good: "there is none, or it gets no privilege", run: setuidExec},
		{id: "kernel.become-root", ref: "setuid(2), setgroups(2)", bare: true,
			how:  "ask for uid 0, gid 0 and other groups, or be uid 0 of the initial user namespace already",
			good: "refused, or uid 0 only behind a user namespace", run: becomeRoot},
		{id: "kernel.securebits", ref: "capabilities(7)", bare: true,
			how:  "set a securebit that is not set",
			good: "refused", run: securebits},
	}
}

// status is one field of /proc/self/status, which is on the process's own
// word in every kernel that can run the sandbox.
func status(field string) string { return statusOf("self", field) }

func statusOf(pid, field string) string {
	data, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func capabilities(*wire.Config, *probe) outcome {
	var held []string
	for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
		value := status(set)
		if value == "" {
			return failed("/proc/self/status has no %s", set)
		}
		if strings.Trim(value, "0") != "" {
			held = append(held, set+"="+value)
		}
	}
	if len(held) > 0 {
		return escaped("%s", strings.Join(held, " "))
	}
	return contained("all sets are empty")
}

func boundingSet(*wire.Config, *probe) outcome {
	value := status("CapBnd")
	switch {
	case value == "":
		return failed("/proc/self/status has no CapBnd")
	case strings.Trim(value, "0") == "":
		return contained("empty")
	case status("NoNewPrivs") == "1":
		return info("CapBnd=%s, useless with no_new_privs", value)
	}
	return escaped("CapBnd=%s and exec may give privileges", value)
}

func raiseCapabilities(*wire.Config, *probe) outcome {
	var d doors
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	all := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN, Inheritable: 1 << unix.CAP_SYS_ADMIN}}
	d.tried("capset", unix.Capset(&header, &all[0]))
	d.tried("ambient", unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0))
	return d.outcome()
}

func noNewPrivs(*wire.Config, *probe) outcome {
	switch value := status("NoNewPrivs"); value {
	case "1":
		return contained("NoNewPrivs is 1")
	case "":
		return failed("/proc/self/status has no NoNewPrivs")
	default:
		return escaped("NoNewPrivs is %s", value)
	}
}

func seccompMode(*wire.Config, *probe) outcome {
	switch value := status("Seccomp"); value {
	case "2":
		return contained("Seccomp is 2, %s filters", status("Seccomp_filters"))
	case "":
		return failed("/proc/self/status has no Seccomp")
	default:
		return escaped("Seccomp is %s: every system call reaches the kernel", value)
	}
}

// setuidPrograms wait for input with no arguments, so that there is time to
// look; none of them is answered.
var setuidPrograms = [...]string{"su", "passwd", "chsh", "chfn", "sudo", "newgrp", "pkexec"}

func setuidExec(*wire.Config, *probe) outcome {
	var d doors
	found := 0
	for _, pattern := range []string{"/usr/bin/*", "/usr/sbin/*", "/bin/*", "/sbin/*", "/usr/libexec/*", "/usr/lib/*/*", "/usr/local/bin/*"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			var st unix.Stat_t
			if unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
				found++
			}
		}
	}
	if os.Geteuid() == 0 {
		return contained("%d setuid files; already uid 0 inside, which kernel.become-root judges", found)
	}
	for _, name := range setuidPrograms {
		uids, err := effectiveUID(name)
		switch {
		case err != nil:
			d.shut = append(d.shut, name+": "+err.Error())
		case len(uids) > 1 && uids[1] == "0":
			d.open = append(d.open, name+" runs with effective uid 0")
		default:
			d.shut = append(d.shut, name+" gets no privilege")
		}
	}
	d.shut = append(d.shut, fmt.Sprintf("%d setuid files visible", found))
	return d.outcome()
}

func effectiveUID(name string) ([]string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("not found")
	}
	command := exec.Command(path)
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, rootCause(err)
	}
	defer func() { in.Close(); command.Process.Kill(); command.Wait() }()
	var uids []string
	for range 20 {
		uids = strings.Fields(statusOf(fmt.Sprint(command.Process.Pid), "Uid"))
		if len(uids) > 1 && uids[1] == "0" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return uids, nil
}

func becomeRoot(*wire.Config, *probe) outcome {
	var d doors
	uidMap, _ := os.ReadFile("/proc/self/uid_map")
	if fields := strings.Fields(string(uidMap)); os.Geteuid() == 0 && len(fields) == 3 && fields[2] == "4294967295" {
		d.open = append(d.open, "uid 0 of the initial user namespace")
	}
	if os.Geteuid() != 0 {
		_, err := call(unix.SYS_SETRESUID, 0, 0, 0)
		d.tried("setresuid 0", err)
		_, err = call(unix.SYS_SETRESGID, 0, 0, 0)
		d.tried("setresgid 0", err)
	}
	group := [1]uint32{0}
	_, err := call(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&group)))
	d.tried("setgroups 0", err)
	return d.outcome()
}

func securebits(*wire.Config, *probe) outcome {
	var d doors
	bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	const keepCapsLocked = 1 << 5
	d.tried(fmt.Sprintf("securebits %#x", bits), unix.Prctl(unix.PR_SET_SECUREBITS, uintptr(bits|keepCapsLocked), 0, 0, 0))
	return d.outcome()
}
