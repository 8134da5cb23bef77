package explain

import (
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
	d.Rule, d.Reason = "syscalls."+c.Group+"."+name, c.Reason
	if c.Limit != "" {
		d.Reason = c.Limit + ": " + c.Reason
	}
	if c.Permit {
		d.Effect = nacre.Allow
		return d, nil
	}
	for _, g := range seccomp.Groups() {
		with, err := seccomp.NewTable(seccomp.Options{Arch: o.Arch, Groups: []string{g.Name}})
		if err != nil {
			return d, err
		}
		if c, _ := with.Call(name); c.Group == g.Name {
			d.Remedy = "syscalls: [" + g.Name + "]"
			break
		}
	}
	return d, nil
}
