package part

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Change is one line that an old part or a new one has, and the other has not.
type Change struct {
	Line
	Gone bool // it is the old one's
}

// More tells whether the change gives more, or may: what is gone gives less, but for
// what was refused.
func (c Change) More() bool { return c.Gone == (c.Key == refuses) }

func (c Change) String() string {
	return map[bool]string{true: "− ", false: "+ "}[c.Gone] + c.Line.String()
}

// Diff says what a change of part changes, first what may give more.
func Diff(old, new []Line) (changes []Change) {
	for _, l := range new {
		if !slices.Contains(old, l) {
			changes = append(changes, Change{l, false})
		}
	}
	for _, l := range old {
		if !slices.Contains(new, l) {
			changes = append(changes, Change{l, true})
		}
	}
	slices.SortStableFunc(changes, func(a, b Change) int {
		return map[bool]int{true: -1}[a.More()] - map[bool]int{true: -1}[b.More()]
	})
	return changes
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
