package native

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/sandbox/blueprint"
)

// machineID is a stable identifier made up for a sandbox.
func machineID(id string) string {
	sum := sha256.Sum256([]byte("nacre machine " + id))
	return hex.EncodeToString(sum[:16])
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
		Files:    etcFiles(p, id),
		Proc:     blueprint.Proc{Masks: listed("proc"), Synthetic: procSynthetic(id), ReadOnly: !nested},
		Limits:   rlimits(p),
		Loopback: p.Loopback,
		Nested:   nested,
	}
}

func hasGroup(p nacre.Plan, name string) bool {
	return slices.ContainsFunc(p.Syscalls, func(g nacre.SyscallGroup) bool { return g.Name == name })
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
