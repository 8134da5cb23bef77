package remedy

import (
	"errors"

	"nacre/fault"
	"nacre/strict"
)

// Hint adds to a fault about an unknown word the known one that may be meant.
func Hint(err error) error {
	var u *strict.Unknown
	var f *fault.Fault
	if errors.As(err, &u) && errors.As(err, &f) {
		if near := Near(u.Word, u.Known); near != "" {
			return f.WithHint("did you mean %q?", near)
		}
	}
	return err
}

// Near is the candidate within two edits of s, or "".
func Near(s string, candidates []string) string {
	best, found := 3, ""
	for _, c := range candidates {
		if d := distance(s, c); d < best && d < len(c) {
			best, found = d, c
		}
	}
	return found
}

// distance is the Levenshtein distance, at most 3: all that Near needs.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
