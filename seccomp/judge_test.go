package seccomp

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"golang.org/x/sys/unix"
)

// refuse is a refusal with an error.
func refuse(e unix.Errno) Verdict { return Verdict{Errno: e} }

// families are those of a section of calls.txt.
func families(name string) []family {
	all := sections()
	return all[slices.IndexFunc(all, func(s section) bool { return s.name == name })].families
}

// Digest is the SHA-256 of Bytes, in the form "sha256:…".
func (f Filter) Digest() string {
	sum := sha256.Sum256(f.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Judge is what the filter must answer to a call of the table's architecture,
// evaluated without it: tests compare it with the assembled program.
func (t *Table) Judge(number uint32, args [6]uint64) Verdict {
	i, begins := slices.BinarySearchFunc(t.spans, number, func(s span, n uint32) int { return cmp.Compare(s.from, n) })
	if !begins {
		i-- // within the span before
	}
	return t.spans[i].rule.judge(args)
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
