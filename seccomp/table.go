package seccomp

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// audits are the kernel's words for the architectures.
var audits = map[Arch]uint32{AMD64: unix.AUDIT_ARCH_X86_64, ARM64: unix.AUDIT_ARCH_AARCH64}

// x32 is the first number of amd64's other ABI, which has the same
// architecture word and so is refused by number.
const x32 = 0x40000000

// Call is one system call as the options treat it. The zero value refuses it.
type Call struct {
	Group  string // where that is from: "base" or a group's name
	Reason string
	Limit  string // the conditions in words; empty where there are none
	code   Filter // always answers; none refuses
}

// Permit tells whether it is permitted: always, or under the conditions.
func (c Call) Permit() bool { return slices.Contains(c.code, unix.SockFilter{Code: answer, K: permit}) }

// entry is one of calls.txt, as go generate has written it down: calls that a section
// treats alike.
type entry struct {
	section string
	names   []string
	call    Call
}

// Groups are the named sets of calls that a plan may add to the base list, the
// sections of calls.txt with a warning, and what each loosens.
func Groups() map[string]string { return maps.Clone(groups) }

// Table is what a set of options makes of every system call: the one value
// behind the filter, the explanation and the report of a refused call.
type Table struct {
	arch  Arch
	calls map[string]Call // the empty name stands for all numbers that have none
}

// NewTable puts base list and groups together: of two sections that name a call,
// the later holds.
func NewTable(o Options) (*Table, error) {
	if numbers[o.Arch] == nil {
		return nil, fault.New(fault.Unsupported, "there is no system call table for the architecture %q", string(o.Arch)).
			WithHint("run on %s or %s", AMD64, ARM64)
	}
	for _, name := range o.Groups {
		if groups[name] == "" {
			return nil, fault.New(fault.Invalid, "there is no group of system calls called %q", name).
				WithHint("the groups are %s", strings.Join(slices.Sorted(maps.Keys(groups)), ", "))
		}
	}
	counts := map[string]bool{"permitted": true, "absent": true, "refused": true, "quiet": true, // the base list
		"without-loopback": !o.Loopback, "watched": o.Watched, "of-nacre": o.Only != nil}
	for group := range groups {
		counts[group] = slices.Contains(o.Groups, group)
	}
	t := &Table{arch: o.Arch, calls: make(map[string]Call, len(numbers[o.Arch]))}
	t.calls[""] = Call{code: Filter{{Code: answer, K: refuse | uint32(unix.ENOSYS)}}}
	for _, e := range entries {
		for _, name := range e.names {
			if counts[e.section] && (o.Only == nil || slices.Contains(o.Only, name)) {
				t.calls[name] = e.call
			}
		}
	}
	return t, nil
}

// spans puts the calls in the order of their numbers. A number without a call
// is treated as the empty name is, a call that no section names (a test sees to
// it that there is none) as the zero call: refused. Neighbours without a
// condition are put together.
func (t *Table) spans() (all []span) {
	put := func(from int, c Call) {
		if len(c.code) == 0 {
			c.code = Filter{{Code: answer, K: report | uint32(unix.EPERM)}}
		}
		if len(all) == 0 || len(c.code) > 1 || !slices.Equal(c.code, all[len(all)-1].code) {
			all = append(all, span{uint32(from), c.code})
		}
	}
	for number, name := range numbers[t.arch] {
		put(number, t.calls[name])
	}
	if t.arch == AMD64 {
		put(x32, Call{})
	}
	return all
}

// Filter assembles the table: the architecture check before the search over
// the numbers. It needs a listener, which the reports go to; Silent needs none.
func (t *Table) Filter() Filter {
	const number, architecture = 0, 4 // offsets in struct seccomp_data
	return append(Filter{
		{Code: load, K: architecture},
		{Code: equal, Jt: 1, K: audits[t.arch]},
		{Code: answer, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: number},
	}, search(t.spans())...)
}

// Call is how a call of this name is treated; false where the architecture has
// none.
func (t *Table) Call(name string) (Call, bool) {
	return t.calls[name], name != "" && slices.Contains(numbers[t.arch], name)
}

// Name is the name of a number, "" if it has none.
func (t *Table) Name(number uint32) string {
	names := numbers[t.arch]
	return names[min(number, uint32(len(names)-1))]
}
