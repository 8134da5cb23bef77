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

// NewTable puts base list and groups together.
func NewTable(o Options) (*Table, error) {
	names, known := numbers[o.Arch]
	if !known {
		return nil, fault.New(fault.Unsupported, "there is no system call table for the architecture %q", string(o.Arch)).
			WithHint("run on %s or %s", AMD64, ARM64)
	}
	groups := Groups()
	for _, name := range o.Groups {
		if groups[name] == "" {
			return nil, fault.New(fault.Invalid, "there is no group of system calls called %q", name).
				WithHint("the groups are %s", strings.Join(slices.Sorted(maps.Keys(groups)), ", "))
		}
	}
	t := &Table{options: o, names: names, calls: make(map[string]Call, len(names))}
	t.read(groups)
	if o.Only != nil {
		maps.DeleteFunc(t.calls, func(name string, _ Call) bool { return !slices.Contains(o.Only, name) }) // the zero call is refused
	}
	t.calls[""] = Call{last: "ENOSYS"}
	return t, nil
}

// read takes from calls.txt the sections that the options ask for.
func (t *Table) read(groups map[string]string) {
	var family []string
	var section Call
	var wanted bool
	for line := range strings.Lines(callsFile) {
		text, reason, _ := strings.Cut(line, "#")
		switch words := strings.Fields(text); {
		case len(words) == 0:
		case line[0] == '[':
			name := strings.Trim(words[0], "[]")
			section = Call{Group: "base", last: words[1]}
			if groups[name] != "" {
				section.Group = name
			}
			wanted = section.Group == "base" || slices.Contains(t.options.Groups, name)
			wanted = wanted && !(name == "without-loopback" && t.options.Loopback || name == "watched" && !t.options.Watched || name == "of-nacre" && t.options.Only == nil)
		case wanted && line[0] == '\t':
			for _, name := range family {
				t.calls[name] = t.calls[name].with(strings.TrimSpace(text), t.options.Notify)
			}
		case wanted:
			family, section.Reason = words, strings.TrimSpace(reason)
			for _, name := range family {
				section.earlier, section.earlierAnswer = t.calls[name].code, t.calls[name].last
				t.calls[name] = section
			}
		}
	}
}

// Groups are the named sets of calls that a plan may add to the base list, the
// sections of calls.txt with their names, and what each loosens.
func Groups() map[string]string {
	groups := map[string]string{}
	for line := range strings.Lines(callsFile) {
		if head, warning, ok := strings.Cut(line, " # "); ok && line[0] == '[' {
			groups[strings.Trim(strings.Fields(head)[0], "[]")] = strings.TrimSpace(warning)
		}
	}
	return groups
}

// spans puts the calls in the order of their numbers. A number without a call
// is treated as the empty name is, a call that no section names (a test sees to
// it that there is none) as the zero call: refused. Neighbours without a
// condition are put together.
func (t *Table) spans() (all []span) {
	var before Call
	put := func(from int, c Call) {
		if len(all) == 0 || len(c.code)+len(before.code) > 0 || c.last != before.last {
			all = append(all, span{uint32(from), append(slices.Clip(c.code), answer(c.last, t.options.Notify))})
		}
		before = c
	}
	for number, name := range append(slices.Clip(t.names), "") {
		put(number, t.calls[name])
	}
	if t.options.Arch == AMD64 {
		put(x32, Call{})
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
