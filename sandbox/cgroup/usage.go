package cgroup

import (
	"errors"
	"time"

	"github.com/opencontainers/cgroups/fscommon"

	"nacre"
)

// Usage reads the agent's leaf.
func (g *Group) Usage() (nacre.Usage, error) {
	if g == nil {
		return nacre.Usage{}, nil
	}
	var errs []error
	read := func(controller, file, key string) int64 {
		dir := g.dir(controller, agent)
		var v uint64
		var err error
		if key == "" {
			v, err = fscommon.GetCgroupParamUint(dir, file)
		} else {
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
