package seccomp

import (
	"slices"
	"strings"

	"nacre"
	"nacre/fault"
)

// Group is a named set of calls that a plan may add to the base list: the
// section of calls.txt with its name.
type Group struct {
	Name        string
	Description string        // what it is for
	Warning     nacre.Warning // what it loosens; its origin is the compiler's to fill in
}

// Groups returns the groups, sorted by name.
func Groups() []Group {
	return []Group{
		{"debug", "debuggers and tracers: gdb, strace, rr-like tools",
			nacre.Warning{Name: "syscalls-debug", Detail: "programs in the sandbox can read and steer one another, and turn off address randomisation"}},
		{"message-queues", "System V and POSIX message queues: fakeroot, some databases",
			nacre.Warning{Name: "syscalls-message-queues", Detail: "message queues are a common tool of kernel exploits"}},
		{"nested-sandbox", "programs that build sandboxes themselves: bubblewrap, browsers, rootless containers",
			nacre.Warning{Name: "syscalls-nested-sandbox", Detail: "programs can gain capabilities in user namespaces of their own and reach far more kernel code"}},
	}
}

// known refuses a name that is no group's.
func known(name string) error {
	var names []string
	for _, g := range Groups() {
		names = append(names, g.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	return fault.New(fault.Invalid, "there is no group of system calls called %q", name).
		WithHint("the groups are %s", strings.Join(names, ", "))
}
