package seccomp

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

// Group is a named set of calls that a plan may add to the base list.
type Group struct {
	Name        string
	Description string        // what it is for
	Warning     nacre.Warning // what it loosens; its origin is the compiler's to fill in
	adds        []entry
}

// Groups returns the groups, sorted by name.
func Groups() []Group {
	return []Group{
		{"debug", "debuggers and tracers: gdb, strace, rr-like tools",
			nacre.Warning{Name: "syscalls-debug", Detail: "programs in the sandbox can read and steer one another, and turn off address randomisation"},
			[]entry{
				{"ptrace", "debuggers; the filter is evaluated again after a tracer changed a call", nil},
				{"process_vm_readv process_vm_writev", "debuggers read and write memory in bulk", nil},
				{"kcmp", "strace and CRIU compare resources of processes", nil},
				{"prctl", "as in the base list, and a process may name its debugger", prctl(unix.PR_SET_PTRACER)},
				{"personality", "debuggers start programs without address randomisation",
					only(unix.EPERM, "only 0, ADDR_NO_RANDOMIZE and the query", is(0, 0, addrNoRandomize, personalityQuery))},
			}},
		{"message-queues", "System V and POSIX message queues: fakeroot, some databases",
			nacre.Warning{Name: "syscalls-message-queues", Detail: "message queues are a common tool of kernel exploits"},
			[]entry{
				{"msgget msgsnd msgrcv msgctl", "System V queues in the sandbox's own namespace", nil},
				{"mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr", "POSIX queues in the sandbox's own namespace", nil},
			}},
		{"nested-sandbox", "programs that build sandboxes themselves: bubblewrap, browsers, rootless containers",
			nacre.Warning{Name: "syscalls-nested-sandbox", Detail: "programs can gain capabilities in user namespaces of their own and reach far more kernel code"},
			[]entry{
				{"unshare setns", "makes and enters the inner namespaces", nil},
				{"clone", "processes in new namespaces", nil},
				{"mount umount2 pivot_root chroot", "the inner root, by the old interface", nil},
				{"open_tree open_tree_attr move_mount mount_setattr fsopen fsconfig fsmount fspick", "the inner root, by the new interface", nil},
				{"sethostname setdomainname", "the name of the inner machine", nil},
			}},
	}
}

// findGroup returns the group of this name.
func findGroup(name string) (Group, error) {
	var names []string
	for _, g := range Groups() {
		if g.Name == name {
			return g, nil
		}
		names = append(names, g.Name)
	}
	return Group{}, fault.New(fault.Invalid, "there is no group of system calls called %q", name).
		WithHint("the groups are %s", strings.Join(names, ", "))
}

// groupWith is the name of the group that adds a call, "" if none does.
func groupWith(call string) string {
	for _, g := range Groups() {
		if slices.ContainsFunc(g.adds, func(e entry) bool { return slices.Contains(strings.Fields(e.names), call) }) {
			return g.Name
		}
	}
	return ""
}
