package seccomp

import (
	"maps"
	"slices"
	"strings"

	"nacre/fault"
)

// x32 is the first number of amd64's other ABI, which has the same
// architecture word and so is refused by number.
const x32 = 0x40000000

// Table is what a set of options makes of every system call: the one value
// behind the filter, the explanation and the report of a refused call.
type Table struct {
	options Options
	audit   uint32
	numbers []numbered
	calls   map[string]Call
	spans   []span
}

// Call is one system call as the options treat it.
type Call struct {
	Group  string // where that is from: "base" or a group's name
	Reason string
	Limit  string // the condition in words; empty where there is none
	Permit bool   // always, or under the condition
	rule   rule
}

// span is a run of call numbers, up to the next span, with one treatment.
type span struct {
	from uint32
	rule rule
}

// NewTable puts base list and groups together.
func NewTable(o Options) (*Table, error) {
	audit, numbers, err := o.Arch.lookup()
	if err != nil {
		return nil, err
	}
	t := &Table{options: o, audit: audit, numbers: numbers, calls: make(map[string]Call, len(numbers))}
	var groups []string
	for _, s := range sections() {
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
	t.layout()
	return t, nil
}

// add treats calls as their families say.
func (t *Table) add(group string, families []family) {
	for _, f := range families {
		for _, c := range f.names {
			r := f.rule
			if before := t.calls[c].rule; r.more {
				r.clauses, r.last = slices.Concat(r.clauses, before.clauses), before.last
			}
			t.calls[c] = Call{group, f.reason, r.limit, r.last.Permit || r.limit != "", r}
		}
	}
}

// Group is a named set of calls that a plan may add to the base list: the
// section of calls.txt with its name. Warning says what it loosens.
type Group struct{ Name, Warning string }

// Groups returns the groups, sorted by name.
func Groups() (groups []Group) {
	for _, s := range sections() {
		if s.warning != "" {
			groups = append(groups, Group{s.name, s.warning})
		}
	}
	return groups
}

// layout puts the rules in the order of their numbers. Numbers without a call
// answer ENOSYS; a call that no table names (a test sees to it that there is
// none) has the zero rule, which refuses.
func (t *Table) layout() {
	unassigned := rule{last: answers["ENOSYS"]}
	t.put(0, unassigned)
	for _, n := range t.numbers {
		t.put(n.number, t.calls[n.name].rule)
		t.put(n.number+1, unassigned)
	}
	if t.options.Arch == AMD64 {
		t.put(x32, rule{last: Verdict{}})
	}
}

// put starts a span, which may take the place of an empty one before it.
// Neighbours without a condition are put together.
func (t *Table) put(from uint32, r rule) {
	if n := len(t.spans) - 1; n >= 0 && t.spans[n].from == from {
		t.spans = t.spans[:n]
	}
	if n := len(t.spans) - 1; n >= 0 && len(r.clauses)+len(t.spans[n].rule.clauses) == 0 && r.last == t.spans[n].rule.last {
		return
	}
	t.spans = append(t.spans, span{from, r})
}

// Filter assembles the table.
func (t *Table) Filter() Filter {
	return Filter{assembler{t.options.Notify}.assemble(t.audit, t.spans)}
}

// Call is how a call of this name is treated; false where the architecture has
// none.
func (t *Table) Call(name string) (Call, bool) {
	exists := slices.ContainsFunc(t.numbers, func(n numbered) bool { return n.name == name })
	return t.calls[name], exists
}

// Name is the name of a number, "" if it has none.
func (t *Table) Name(number uint32) string {
	if i := slices.IndexFunc(t.numbers, func(n numbered) bool { return n.number == number }); i >= 0 {
		return t.numbers[i].name
	}
	return ""
}
