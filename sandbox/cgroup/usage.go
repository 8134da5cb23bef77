package cgroup

import (
	"errors"
	"time"

	"github.com/opencontainers/cgroups/fscommon"
)

// Usage is what the agent uses and has used.
type Usage struct {
	Memory    int64         // bytes now
	CPU       time.Duration // consumed
	Processes int64         // processes and threads now
	OOMKills  int64         // processes killed for want of memory
	Throttled int64         // periods in which the processor limit was reached
}

// Usage reads the agent's leaf.
func (g *Group) Usage() (Usage, error) {
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
	now, events := "memory.usage_in_bytes", "memory.oom_control"
	if g.layout.Mode == V2 {
		now, events = "memory.current", "memory.events"
	}
	u := Usage{
		Memory:    read("memory", now, ""),
		Processes: read("pids", "pids.current", ""),
		OOMKills:  read("memory", events, "oom_kill"),
		Throttled: read("cpu", "cpu.stat", "nr_throttled"),
	}
	if g.layout.Mode == V1 {
		u.CPU = time.Duration(read("cpuacct", "cpuacct.usage", ""))
	} else {
		u.CPU = time.Duration(read(tree2, "cpu.stat", "usage_usec")) * time.Microsecond
	}
	return u, errors.Join(errs...)
}
