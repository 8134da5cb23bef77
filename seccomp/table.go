package seccomp

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
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
	calls   map[string]call
	spans   []span
}

// call is one system call as the options treat it.
type call struct {
	group  string // where that is from: "base" or a group's name
	reason string
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
	t := &Table{options: o, audit: audit, numbers: numbers, calls: make(map[string]call, len(numbers))}
	t.add("base", permit, allowed)
	t.add("base", refuse(unix.ENOSYS), absent)
	t.add("base", refuse(unix.EPERM), refused)
	if !o.Loopback {
		t.add("base", Verdict{}, []entry{{"socket", "the plan has no network at all", socket(false)}})
	}
	if o.Watched {
		t.add("base", refuse(unix.ENOSYS), []entry{{"memfd_create shmget", "the watchdog that stands in for a control group would not see this memory", nil}})
	}
	for _, name := range o.Groups {
		g, err := findGroup(name)
		if err != nil {
			return nil, err
		}
		t.add(name, permit, g.adds)
	}
	t.layout()
	return t, nil
}

func (t *Table) add(group string, verdict Verdict, entries []entry) {
	for _, e := range entries {
		r := rule{last: verdict}
		if e.rule != nil {
			r = *e.rule
		}
		for name := range strings.FieldsSeq(e.names) {
			t.calls[name] = call{group, e.reason, r}
		}
	}
}

// layout puts the rules in the order of their numbers. Numbers without a call
// answer ENOSYS; a call that no table names (a test sees to it that there is
// none) has the zero rule, which refuses.
func (t *Table) layout() {
	unassigned := rule{last: refuse(unix.ENOSYS)}
	t.put(0, unassigned)
	for _, n := range t.numbers {
		t.put(n.number, t.calls[n.name].rule)
		t.put(n.number+1, unassigned)
	}
	if t.options.Arch == AMD64 {
		t.put(x32, rule{last: refuse(unix.EPERM)})
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

// Judge is what the filter answers to a call of the table's architecture,
// evaluated without it: so a supervisor knows which errno a reported call gets.
func (t *Table) Judge(number uint32, args [6]uint64) Verdict {
	after := slices.IndexFunc(t.spans, func(s span) bool { return s.from > number })
	if after < 0 {
		after = len(t.spans)
	}
	return t.spans[after-1].rule.judge(args)
}

// Name is the name of a number, "" if it has none.
func (t *Table) Name(number uint32) string {
	for _, n := range t.numbers {
		if n.number == number {
			return n.name
		}
	}
	return ""
}

// Decide says how a call of this name is treated, and why.
func (t *Table) Decide(name string) nacre.Decision {
	d := nacre.Decision{Capability: nacre.CapSyscalls, Subject: name, Rule: "syscalls.base", Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
	if !slices.ContainsFunc(t.numbers, func(n numbered) bool { return n.name == name }) {
		d.Reason = "there is no such system call on " + string(t.options.Arch)
		return d
	}
	c := t.calls[name]
	d.Rule, d.Reason = "syscalls."+c.group+"."+name, c.reason
	if c.rule.limit != "" {
		d.Reason = c.rule.limit + ": " + c.reason
	}
	if c.rule.last.Permit || c.rule.limit != "" {
		d.Effect = nacre.Allow
	} else if g := groupWith(name); g != "" {
		d.Remedy = "syscalls: [" + g + "]"
	}
	return d
}
