package cgroup

import (
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"

	"nacre/fault"
)

// Freezable tells whether Freeze can be used: there is a v2 tree.
func (g *Group) Freezable() bool { return g.layout.Mode == V2 || g.layout.Mode == Hybrid }

// Freeze makes every process of the agent stand still, and returns once they
// do; or lets them go on. The frozen can still be killed.
func (g *Group) Freeze(still bool) error {
	dir, value := g.dir(tree2, agent), "0"
	if still {
		value = "1"
	}
	err := cgroups.WriteFile(dir, "cgroup.freeze", value)
	for end := time.Now().Add(brief); err == nil; time.Sleep(50 * time.Microsecond) {
		var events string
		if events, err = cgroups.ReadFile(dir, "cgroup.events"); strings.Contains(events, "frozen "+value) {
			return nil
		}
		if err == nil && time.Now().After(end) {
			err = fault.New(fault.Exhausted, "its processes do not come to a halt")
		}
	}
	return fault.Wrap(fault.Internal, err, "control group %s cannot be frozen", g.state.ID)
}

// Threads are those of the agent's processes. Only a v2 tree lists them.
func (g *Group) Threads() ([]int, error) {
	list, err := cgroups.ReadFile(g.dir(tree2, agent), "cgroup.threads")
	var ids []int
	for _, id := range strings.Fields(list) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		ids = append(ids, n)
	}
	return ids, err
}
