package native

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/guise"
	"nacre/sandbox/blueprint"
)

// places are the private writable folders.
var places = []blueprint.Place{
	{Path: "/home/agent", Mode: 0o700},
	{Path: "/tmp", Mode: 0o1777},
	{Path: "/var/tmp", Mode: 0o1777},
	{Path: "/run", Mode: 0o755},
	{Path: "/dev/shm", Mode: 0o1777},
}

// inodes bounds the number of private files: one for each 16 KiB of space, as
// ext4 does, within reason.
func inodes(disk int64) int64 { return min(max(disk/16384, 4096), 4_000_000) }

// synthetic are files with texts that are made up, by their names in a folder.
func synthetic(folder string, texts map[string]string) (list []blueprint.File) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		list = append(list, blueprint.File{Path: folder + name, Content: texts[name], Mode: 0o444})
	}
	return list
}

// specOf describes a plan's sandbox without its trees, which take descriptors.
func specOf(p nacre.Plan, id string) blueprint.Spec {
	nested := hasGroup(p, "nested-sandbox")
	return blueprint.Spec{
		Hostname: p.Identity.Hostname,
		UID:      p.Identity.UID,
		Private:  blueprint.Private{Size: p.Limits.Disk, Inodes: inodes(p.Limits.Disk), Places: places},
		Dirs:     []string{"/sys", "/mnt", "/opt", "/srv", "/root"},
		Links: []blueprint.Link{
			{Path: "/etc/mtab", Target: "/proc/self/mounts"},
			{Path: "/var/run", Target: "/run"},
			{Path: "/var/lock", Target: "/run"},
		},
		Files:    synthetic("/etc/", guise.Etc(id, p.Identity.Hostname)),
		Proc:     blueprint.Proc{Masks: listed("proc"), Synthetic: synthetic("", guise.Proc(id)), ReadOnly: !nested},
		Limits:   rlimits(p),
		Loopback: p.Loopback,
		Nested:   nested,
	}
}

func hasGroup(p nacre.Plan, name string) bool {
	return slices.ContainsFunc(p.Syscalls, func(g nacre.NamedGrant) bool { return g.Name == name })
}

// initThreads is room for the threads of init, which are not the agent's; it
// runs on one processor at a time (package reap) and needs less.
const initThreads = 16

func withInit(l nacre.Limits) nacre.Limits {
	l.Processes += initThreads
	return l
}

// rlimits are the limits that hold for each process, beside the control
// group's for all of them. RLIMIT_NPROC is counted per user namespace and so
// bounds the whole sandbox.
func rlimits(p nacre.Plan) []blueprint.Rlimit {
	l, queues := withInit(p.Limits), uint64(0)
	if hasGroup(p, "message-queues") {
		queues = 819200 // bytes: what Linux gives a user
	}
	return []blueprint.Rlimit{
		{Resource: unix.RLIMIT_NOFILE, Value: uint64(l.OpenFiles)},
		{Resource: unix.RLIMIT_NPROC, Value: uint64(l.Processes)},
		{Resource: unix.RLIMIT_CORE, Value: 1}, // not 0: see seccomp's setrlimit
		{Resource: unix.RLIMIT_MEMLOCK, Value: 8 << 20},
		{Resource: unix.RLIMIT_MSGQUEUE, Value: queues},
		{Resource: unix.RLIMIT_SIGPENDING, Value: 4096},
		{Resource: unix.RLIMIT_NICE, Value: 0},
		{Resource: unix.RLIMIT_RTPRIO, Value: 0},
	}
}
