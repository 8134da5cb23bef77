package seccomp

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Judge is what the filter answers to a call of the table's architecture,
// evaluated without it: what the assembled program is compared with.
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

// has tells whether a section names a call.
func has(name, call string) bool {
	return slices.ContainsFunc(section(name), func(f family) bool { return slices.Contains(f.names, call) })
}

// Digest is the SHA-256 of Bytes, in the form "sha256:…".
func (f Filter) Digest() string {
	sum := sha256.Sum256(f.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:])
}
