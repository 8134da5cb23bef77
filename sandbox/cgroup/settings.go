package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fscommon"

	"nacre"
	"nacre/fault"
)

// What a sandbox's supervisor and gateway may use together on top of the
// agent's own limits: an agent that uses up all it has must not be able to
// hold up the process that is to stop it.
const (
	MemoryHeadroom = 256 << 20
	CPUHeadroom    = 0.1
)

// maxTCP bounds what TCP may hold in buffers on v1, which counts it apart from
// the memory and bounds it not at all. On v2 it is part of the memory.
const maxTCP = 64 << 20

// period is the kernel's own default on v1, which is why it is not set there.
const period = 100_000 // microseconds

// setting is one value in one control file, written once and read back later.
type setting struct {
	controller, leaf, file, value string
	optional                      bool // where the kernel has no such file, nothing is lost
}

// settings are the files that carry the limits. A parent comes before its
// leaf: v1 refuses a leaf more than its parent has.
func settings(l nacre.Limits, v2 bool) (list []setting) {
	page := int64(os.Getpagesize())
	own, dry := l.Memory/page*page, !swapping() // as the kernel rounds
	for _, of := range []struct {
		leaf   string
		memory int64
		cpus   float64
	}{{"", own + MemoryHeadroom, l.CPUs + CPUHeadroom}, {agent, own, l.CPUs}} {
		memory, quota := strconv.FormatInt(of.memory, 10), strconv.FormatInt(int64(of.cpus*period), 10)
		if v2 {
			list = append(list, setting{"memory", of.leaf, "memory.max", memory, false}, setting{"memory", of.leaf, "memory.swap.max", "0", dry},
				setting{"cpu", of.leaf, "cpu.max", quota + " 100000", false})
		} else { // memory and swap together: no swap
			list = append(list, setting{"memory", of.leaf, "memory.limit_in_bytes", memory, false},
				setting{"memory", of.leaf, "memory.memsw.limit_in_bytes", memory, dry}, setting{"cpu", of.leaf, "cpu.cfs_quota_us", quota, false})
		}
	}
	list = append(list, setting{"pids", agent, "pids.max", strconv.FormatInt(l.Processes, 10), false})
	if v2 {
		return append(list, setting{"memory", agent, "memory.oom.group", "1", false})
	}
	tcp := strconv.FormatInt(min(l.Memory/2, maxTCP)/page*page, 10) // some kernels lack it
	return append(list, setting{"memory", agent, "memory.kmem.tcp.limit_in_bytes", tcp, true})
}

// validate refuses limits that limit nothing or that the kernel cannot hold.
func validate(l nacre.Limits) error {
	if l.Memory < 1<<20 || l.Memory > 1<<52 || !(l.CPUs >= 0.01 && l.CPUs <= 8192) || l.Processes < 1 || l.Processes > 1<<22 {
		return fault.New(fault.Invalid, "limits: %d bytes of memory, %v cpus, %d processes: expected 1 MiB to 4 PiB, 0.01 to 8192, 1 to 4194304",
			l.Memory, l.CPUs, l.Processes)
	}
	return nil
}

func (g *Group) write(s setting) error {
	err := cgroups.WriteFile(g.dir(s.controller, s.leaf), s.file, s.value)
	switch absent := errors.Is(err, fs.ErrNotExist); {
	case absent && s.optional:
		return nil
	case absent && strings.Contains(s.file, "sw"):
		return fmt.Errorf("the kernel does not count swap (boot with swapaccount=1, or turn swap off): %w", err)
	}
	return err
}

// swapping tells whether the machine has swap that a sandbox could spill into.
func swapping() bool {
	b, err := os.ReadFile("/proc/swaps")
	return !errors.Is(err, fs.ErrNotExist) && strings.Count(string(b), "\n") != 1
}

// Readback compares every limit with what the kernel holds now, and checks
// that the process (the sandbox's init) is bound by it.
func (g *Group) Readback(pid int) []nacre.Expectation {
	var out []nacre.Expectation
	add := func(item, expected, found string, ok bool) {
		out = append(out, nacre.Expectation{Layer: "limits", Item: item, Expected: expected, Found: found, OK: ok})
	}
	for _, s := range g.settings {
		found, err := cgroups.ReadFile(g.dir(s.controller, s.leaf), s.file)
		if found = strings.TrimSpace(found); err != nil {
			found = err.Error()
		}
		absent := s.optional && errors.Is(err, fs.ErrNotExist)
		add(filepath.Join(s.leaf, s.file), s.value, found, err == nil && found == s.value || absent)
	}
	in, err := cgroups.ParseCgroupFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for _, c := range slices.Sorted(maps.Keys(g.layout.Base)) {
		want := strings.TrimPrefix(g.dir(c, agent), g.layout.Base[c])
		add("member of "+g.dir(c, ""), want, in[c], err == nil && strings.HasSuffix(in[c], want))
	}
	return out
}

// Usage reads the agent's leaf.
func (g *Group) Usage() (nacre.Usage, error) {
	var errs []error
	read := func(controller, file, key string) int64 {
		dir := g.dir(controller, agent)
		v, err := fscommon.GetCgroupParamUint(dir, file)
		if key != "" {
			v, err = fscommon.GetValueByKey(dir, file, key)
		}
		errs = append(errs, err)
		return int64(v)
	}
	u := nacre.Usage{Processes: read("pids", "pids.current", "")}
	if g.layout.Mode == V2 {
		u.Memory, u.OOMKills = read(tree2, "memory.current", ""), read(tree2, "memory.events", "oom_kill")
		u.CPU = time.Duration(read(tree2, "cpu.stat", "usage_usec")) * time.Microsecond
	} else {
		u.Memory, u.OOMKills = read("memory", "memory.usage_in_bytes", ""), read("memory", "memory.oom_control", "oom_kill")
		u.CPU = time.Duration(read("cpuacct", "cpuacct.usage", ""))
	}
	return u, errors.Join(errs...)
}
