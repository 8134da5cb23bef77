package terminal

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"nacre/unseen"
)

// What is shown of a string at most, in characters: any path fits, written as it is or
// as escapes.
const (
	maxClean   = 4096
	maxEscaped = 5 * maxClean
)

// Clean makes any string safe to print on one line in a message of ours.
// Controls, line breaks, bidirectional and invisible characters, backslashes
// and bytes that are not UTF-8 appear as Go escapes, such as \n or \u202e; a
// string beyond 4,096 characters ends in an ellipsis.
func Clean(s string) string { return clean(s, maxClean, `"`) }

// Escaped is Clean for text that holds escapes of its own and is meant to be copied,
// such as a line of YAML: backslashes stay as they are.
func Escaped(s string) string { return clean(s, maxEscaped, `"\`) }

func clean(s string, most int, kept string) string {
	var b strings.Builder
	for n := 0; len(s) > 0; n++ {
		if n == most {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case strings.ContainsRune(kept, r):
			b.WriteRune(r)
		case !unseen.Shown(r) && (r != utf8.RuneError || size > 1):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			q := strconv.Quote(s[:size])
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}
