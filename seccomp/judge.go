package seccomp

import (
	"cmp"
	"slices"
)

// Judge is what the filter answers to a call of the table's architecture,
// evaluated without it: to answer and to explain what the kernel puts to the
// supervisor. A test compares it with the assembled program.
func (t *Table) Judge(number uint32, args [6]uint64) Verdict {
	i, begins := slices.BinarySearchFunc(t.spans, number, func(s span, n uint32) int { return cmp.Compare(s.from, n) })
	if !begins {
		i-- // within the span before
	}
	return t.spans[i].rule.judge(args)
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

// judge evaluates the rule as the assembled program does.
func (r rule) judge(args [6]uint64) Verdict {
	fails := func(t test) bool {
		v := uint32(args[t.arg])
		if t.high {
			v = uint32(args[t.arg] >> 32)
		}
		v &= t.mask
		return t.values == nil && v == 0 || t.values != nil && !slices.Contains(t.values, v)
	}
	for _, c := range r.clauses {
		if !slices.ContainsFunc(c.when, fails) {
			return c.then
		}
	}
	return r.last
}
