package seccomp

import (
	"strings"

	"nacre/fault"
)

// Group is a named set of calls that a plan may add to the base list: the
// section of calls.txt with its name. Warning says what it loosens.
type Group struct{ Name, Warning string }

// Groups returns the groups, sorted by name.
func Groups() []Group {
	return []Group{
		{"debug", "programs in the sandbox can read and steer one another, and turn off address randomisation"},
		{"message-queues", "message queues are a common tool of kernel exploits"},
		{"nested-sandbox", "programs can gain capabilities in user namespaces of their own and reach far more kernel code"},
	}
}

// known refuses a name that is no group's.
func known(name string) error {
	var names []string
	for _, g := range Groups() {
		if names = append(names, g.Name); g.Name == name {
			return nil
		}
	}
	return fault.New(fault.Invalid, "there is no group of system calls called %q", name).
		WithHint("the groups are %s", strings.Join(names, ", "))
}
