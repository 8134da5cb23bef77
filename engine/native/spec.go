package native

import (
	"bytes"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/guise"
	"nacre/sandbox/blueprint"
)

// maxTerminals bounds what one sandbox takes of a number that all sandboxes and
// containers of a machine share (kernel.pty.max less kernel.pty.reserve: 3072).
const maxTerminals = "128"

// links are those of every sandbox.
var links = map[string]string{"/etc/mtab": "/proc/self/mounts", "/var/run": "/run", "/var/lock": "/run", "/dev/ptmx": "pts/ptmx",
	"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2"}

// ownEntries lists what every sandbox has of its own; nothing identifies the host.
func ownEntries(p nacre.Plan, id string, nested bool) []blueprint.Entry {
	list := []blueprint.Entry{
		{Form: blueprint.System, Host: "tmpfs", Path: "/dev", Dir: true, NoExec: true, Closed: true, Text: []byte("mode=0755 size=65536 nr_inodes=64")},
		{Form: blueprint.System, Host: "devpts", Path: "/dev/pts", Dir: true, NoExec: true, Write: true, Device: true,
			Text: []byte("newinstance ptmxmode=0666 mode=0620 max=" + maxTerminals)},
		{Form: blueprint.System, Host: "proc", Path: "/proc", Dir: true, NoExec: true, Write: nested},
		{Form: blueprint.Private, Path: "/home/agent", Dir: true, Write: true, Mode: 0o700},
		{Form: blueprint.Private, Path: "/tmp", Dir: true, Write: true, Mode: 0o1777},
		{Form: blueprint.Private, Path: "/var/tmp", Dir: true, Write: true, Mode: 0o1777},
		{Form: blueprint.Private, Path: "/run", Dir: true, Write: true, Mode: 0o755},
		{Form: blueprint.Private, Path: "/dev/shm", Dir: true, Write: true, Mode: 0o1777},
	}
	list = append(list, listed("proc", blueprint.Entry{Form: blueprint.Mask, Optional: true})...)
	for _, of := range []struct {
		form   blueprint.Form
		folder string
		texts  map[string]string
	}{{blueprint.Link, "", links}, {blueprint.File, "/etc/", guise.Etc(id, p.Identity.Hostname)}, {blueprint.Cover, "/proc/", guise.Proc(id)}} {
		for _, name := range slices.Sorted(maps.Keys(of.texts)) {
			list = append(list, blueprint.Entry{Form: of.form, Path: of.folder + name, NoExec: true, Mode: 0o444, Text: []byte(of.texts[name]), Optional: of.form == blueprint.Cover})
		}
	}
	return list
}

func hasGroup(p nacre.Plan, name string) bool {
	return slices.ContainsFunc(p.Syscalls, func(g nacre.NamedGrant) bool { return g.Name == name })
}

// initThreads is room for the threads of init, which are not the agent's; it
// runs on one processor at a time (package reap) and needs less.
const initThreads = 16

// rlimits are the limits that hold for each process, beside the control
// group's for all of them. RLIMIT_NPROC is counted per user namespace and so
// bounds the whole sandbox. None is above the owner's own, which nobody may raise;
// but where the kernel starts a program for a crash, only a limit of 1 keeps that
// away, not 0 (core(5)), and without it nothing starts.
func rlimits(p nacre.Plan) []blueprint.Rlimit {
	l, queues := p.Limits, uint64(0)
	if hasGroup(p, "message-queues") {
		queues = 819200 // bytes: what Linux gives a user
	}
	list := []blueprint.Rlimit{
		{Resource: unix.RLIMIT_NOFILE, Value: uint64(l.OpenFiles)},
		{Resource: unix.RLIMIT_NPROC, Value: uint64(l.Processes)},
		{Resource: unix.RLIMIT_CORE, Value: 1}, // not 0: see seccomp's setrlimit
		{Resource: unix.RLIMIT_MEMLOCK, Value: 8 << 20},
		{Resource: unix.RLIMIT_MSGQUEUE, Value: queues},
		{Resource: unix.RLIMIT_SIGPENDING, Value: 4096},
		{Resource: unix.RLIMIT_NICE, Value: 0},
		{Resource: unix.RLIMIT_RTPRIO, Value: 0},
	}
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	for i, l := range list {
		var own unix.Rlimit
		handler := l.Resource == unix.RLIMIT_CORE && (err != nil || bytes.HasPrefix(pattern, []byte("|")))
		if unix.Getrlimit(l.Resource, &own) == nil && !handler {
			list[i].Value = min(l.Value, own.Max)
		}
	}
	return list
}
