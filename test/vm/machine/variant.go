package machine

import (
	"maps"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/test/vm/job"
)

// Variant is a way in which a machine differs from a stock one. The zero
// value is stock.
type Variant struct {
	Name string
	// KernelArgs are added to the kernel's command line.
	KernelArgs string
	Setup      job.Setup
}

var variants = map[string]Variant{
	"stock": {},
	// No user namespace at all, for root neither.
	"no-userns": {Setup: job.Setup{Sysctl: map[string]string{"user.max_user_namespaces": "0"}}},
	// User namespaces for root only: a setting of Debian's kernels.
	"no-unprivileged-userns": {Setup: job.Setup{Sysctl: map[string]string{"kernel.unprivileged_userns_clone": "0"}}},
	// The kernel's own list, without Landlock.
	"no-landlock": {KernelArgs: "lsm=lockdown,yama,integrity,apparmor,bpf"},
	// As systemd delegated before version 252: no CPU limits for users.
	"no-cpu-controller": {Setup: job.Setup{NoCPU: true}},
	// As some small machines come: no memory limits for anybody.
	"no-memory-controller": {KernelArgs: "cgroup_disable=memory"},
	// No session, no bus, no delegated cgroup.
	"no-session": {Setup: job.Setup{NoSession: true}},
	// As distributions had it until 2021: v1 controllers, v2 for membership.
	"cgroup-hybrid": {KernelArgs: "systemd.unified_cgroup_hierarchy=0"},
	"cgroup-v1":     {KernelArgs: "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"},
}

// NamedVariant finds a variant by its name.
func NamedVariant(name string) (Variant, error) {
	v, ok := variants[name]
	if !ok {
		return v, fault.New(fault.Usage, "no machine variant %q", name).
			WithHint("variants: %s", strings.Join(VariantNames(), " "))
	}
	v.Name = name
	return v, nil
}

// VariantNames are the names of all variants, sorted.
func VariantNames() []string { return slices.Sorted(maps.Keys(variants)) }
