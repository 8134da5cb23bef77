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

// Table is what a set of options makes of every system call: the one value
// behind the filter, the explanation and the report of a refused call.
type Table struct {
	options Options
	names   []string        // of the calls, by their numbers
	calls   map[string]Call // the empty name stands for all numbers that have none
}

// Call is one system call as the options treat it.
type Call struct {
	Group  string // where that is from: "base" or a group's name
	Reason string
	Limit  string // the condition in words; empty where there is none
	Permit bool   // always, or under the condition
	rule   rule
}

// NewTable puts base list and groups together.
func NewTable(o Options) (*Table, error) {
	names, known := numbers[o.Arch]
	if !known {
		return nil, fault.New(fault.Unsupported, "there is no system call table for the architecture %q", string(o.Arch)).
			WithHint("run on %s or %s", AMD64, ARM64)
	}
	t := &Table{options: o, names: names, calls: make(map[string]Call, len(names))}
	var groups []string
	for _, s := range sections(o.Notify) {
		switch {
		case s.name == "without-loopback" && o.Loopback, s.name == "watched" && !o.Watched:
		case s.warning == "":
			t.add("base", s.families)
		default:
			if groups = append(groups, s.name); slices.Contains(o.Groups, s.name) {
				t.add(s.name, s.families)
			}
		}
	}
	for _, name := range o.Groups {
		if !slices.Contains(groups, name) {
			return nil, fault.New(fault.Invalid, "there is no group of system calls called %q", name).
				WithHint("the groups are %s", strings.Join(groups, ", "))
		}
	}
	if o.Only != nil {
		maps.DeleteFunc(t.calls, func(name string, _ Call) bool { return !slices.Contains(o.Only, name) }) // the zero rule refuses
	}
	t.calls[""] = Call{rule: rule{last: "ENOSYS"}}
	return t, nil
}

// add treats calls as their families say.
func (t *Table) add(group string, families []family) {
	for _, f := range families {
		for _, c := range f.names {
			r := f.rule
			if before := t.calls[c].rule; r.more {
				r.code, r.last = slices.Concat(r.code, before.code), before.last
			}
			t.calls[c] = Call{group, f.reason, r.limit, r.last == "permit" || r.limit != "", r}
		}
	}
}

// Group is a named set of calls that a plan may add to the base list: the
// section of calls.txt with its name. Warning says what it loosens.
type Group struct{ Name, Warning string }

// Groups returns the groups, sorted by name.
func Groups() (groups []Group) {
	for _, s := range sections(false) {
		if s.warning != "" {
			groups = append(groups, Group{s.name, s.warning})
		}
	}
	return groups
}

// spans puts the rules in the order of their numbers. A number without a call
// has that of the empty name, a call that no section names (a test sees to it
// that there is none) the zero rule, which refuses. Neighbours without a
// condition are put together.
func (t *Table) spans() (all []span) {
	var before rule
	put := func(from int, r rule) {
		if len(all) == 0 || len(r.code)+len(before.code) > 0 || r.last != before.last {
			all = append(all, span{uint32(from), append(slices.Clip(r.code), answer(r.last, t.options.Notify))})
		}
		before = r
	}
	for number, name := range append(slices.Clip(t.names), "") {
		put(number, t.calls[name].rule)
	}
	if t.options.Arch == AMD64 {
		put(x32, rule{})
	}
	return all
}

// Filter assembles the table: the architecture check before the search over
// the numbers.
func (t *Table) Filter() Filter {
	return append(Filter{
		load(offsetArch),
		jump(unix.BPF_JEQ, audits[t.options.Arch], 1, 0),
		op(unix.BPF_RET, unix.SECCOMP_RET_KILL_PROCESS),
		load(offsetNumber),
	}, search(t.spans())...)
}

// Call is how a call of this name is treated; false where the architecture has
// none.
func (t *Table) Call(name string) (Call, bool) {
	return t.calls[name], name != "" && slices.Contains(t.names, name)
}

// Name is the name of a number, "" if it has none.
func (t *Table) Name(number uint32) string {
	if number < uint32(len(t.names)) {
		return t.names[number]
	}
	return ""
}
