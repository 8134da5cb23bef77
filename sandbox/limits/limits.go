// Package limits says which values in which control files bound a sandbox, and
// reads them back. Who makes the groups and writes there is package cgroup, on
// whose word nothing relies here: a limit holds if the kernel has its value in
// the group in which the kernel has the process.
package limits

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"

	"nacre"
)

// What a sandbox's supervisor and gateway may use together on top of the
// agent's own limits: an agent that uses up all it has must not be able to
// hold up the process that is to stop it.
const memoryHeadroom, cpuHeadroom = 256 << 20, 0.1

// maxTCP bounds what TCP may hold in buffers on v1, which counts it apart from
// the memory and bounds it not at all. On v2 it is part of the memory.
const maxTCP = 64 << 20

// period is the kernel's own default on v1, which is why it is not set there, and
// minQuota the least that it takes of that: what is negative would be no limit.
const period, minQuota = 100_000, 1000 // microseconds

// Agent is the leaf of a sandbox's group that holds the agent's processes.
const Agent = "agent"

// File is a control file with the value that it is to have: in the agent's
// leaf, or in the group above it, which the supervisor is in as well.
type File struct {
	Controller, Leaf, Name, Value string
	Optional                      bool // where the kernel has no such file, nothing is lost
}

// Files are those of some limits. A group comes before its leaf: v1 refuses a
// leaf more than its parent has.
func Files(l nacre.Limits, v2 bool) []File {
	page := int64(os.Getpagesize())
	whole := func(bytes int64) string { return strconv.FormatInt(bytes/page*page, 10) } // as the kernel rounds
	quota := func(cpus float64) string { return strconv.FormatInt(max(int64(cpus*period), minQuota), 10) }
	dry, processes := !swapping(), strconv.FormatInt(l.Processes, 10)
	if v2 {
		return []File{
			{"memory", "", "memory.max", whole(l.Memory + memoryHeadroom), false},
			{"memory", "", "memory.swap.max", "0", dry},
			{"cpu", "", "cpu.max", quota(l.CPUs+cpuHeadroom) + " 100000", false},
			{"memory", Agent, "memory.max", whole(l.Memory), false},
			{"memory", Agent, "memory.swap.max", "0", dry},
			{"cpu", Agent, "cpu.max", quota(l.CPUs) + " 100000", false},
			{"pids", Agent, "pids.max", processes, false},
			{"memory", Agent, "memory.oom.group", "1", false},
		}
	}
	return []File{ // memory and swap together: no swap
		{"memory", "", "memory.limit_in_bytes", whole(l.Memory + memoryHeadroom), false},
		{"memory", "", "memory.memsw.limit_in_bytes", whole(l.Memory + memoryHeadroom), dry},
		{"cpu", "", "cpu.cfs_quota_us", quota(l.CPUs + cpuHeadroom), false},
		{"memory", Agent, "memory.limit_in_bytes", whole(l.Memory), false},
		{"memory", Agent, "memory.memsw.limit_in_bytes", whole(l.Memory), dry},
		{"cpu", Agent, "cpu.cfs_quota_us", quota(l.CPUs), false},
		{"pids", Agent, "pids.max", processes, false},
		{"memory", Agent, "memory.kmem.tcp.limit_in_bytes", whole(min(l.Memory/2, maxTCP)), true}, // some kernels lack it
	}
}

// swapping tells whether the machine has swap that a sandbox could spill into.
func swapping() bool {
	b, err := os.ReadFile("/proc/swaps")
	return !errors.Is(err, fs.ErrNotExist) && strings.Count(string(b), "\n") != 1
}

// Read compares the limits of a process with what the kernel holds. The leaves
// are the folders that it is said to be in: one for each controller's tree, or
// on v2 one for all, without a name. What is read there is read only if it is a
// control group's (cgroups.ReadFile).
func Read(pid int, leaves map[string]string, l nacre.Limits) (list []nacre.Expectation) {
	add := func(item, expected, found string, ok bool) {
		list = append(list, nacre.Expectation{Layer: "limits", Item: item, Expected: expected, Found: found, OK: ok})
	}
	_, v2 := leaves[""]
	for _, f := range Files(l, v2) {
		dir := cmp.Or(leaves[f.Controller], leaves[""])
		if f.Leaf == "" {
			dir = filepath.Dir(dir)
		}
		found, err := cgroups.ReadFile(dir, f.Name)
		if found = strings.TrimSpace(found); err != nil {
			found = err.Error()
		}
		absent := f.Optional && errors.Is(err, fs.ErrNotExist)
		add(filepath.Join(f.Leaf, f.Name), f.Value, found, err == nil && found == f.Value || absent)
	}
	for _, controller := range slices.Sorted(maps.Keys(leaves)) { // in this very group: others may have its name
		found, err := cgroups.ReadFile(leaves[controller], "cgroup.procs")
		ok := err == nil && slices.Contains(strings.Fields(found), strconv.Itoa(pid))
		if found = map[bool]string{true: strconv.Itoa(pid), false: "others"}[ok]; err != nil {
			found = err.Error()
		}
		add("member of "+leaves[controller], strconv.Itoa(pid), found, ok)
	}
	return list
}
