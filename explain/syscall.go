package explain

import (
	"maps"
	"slices"

	"nacre"
	"nacre/seccomp"
)

// Syscall says how a system call is treated under these options, and why. It
// asks the table that the filter is made from.
func Syscall(o seccomp.Options, name string) (nacre.Decision, error) {
	d := nacre.Decision{Capability: nacre.CapSyscalls, Subject: name, Rule: "syscalls.base", Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
	t, err := seccomp.NewTable(o)
	if err != nil {
		return d, err
	}
	c, ok := t.Call(name)
	if !ok {
		d.Reason = "there is no such system call on " + string(o.Arch)
		return d, nil
	}
	d.Rule, d.Reason = said(c, name)
	if c.Permit() {
		d.Effect = nacre.Allow
		return d, nil
	}
	for _, g := range slices.Sorted(maps.Keys(seccomp.Groups())) {
		with, err := seccomp.NewTable(seccomp.Options{Arch: o.Arch, Groups: []string{g}})
		if err != nil {
			return d, err
		}
		if c, _ := with.Call(name); c.Group == g {
			d.Remedy = "syscalls: [" + g + "]"
			break
		}
	}
	return d, nil
}

// said is the rule about a call, and its reason.
func said(c seccomp.Call, name string) (rule, reason string) {
	rule, reason = "syscalls."+c.Group+"."+name, c.Reason
	if c.Limit != "" {
		reason = c.Limit + ": " + c.Reason
	}
	return rule, reason
}
