package terminal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxClean is the most characters of a string that Clean shows: any path fits.
const maxClean = 4096

// Clean makes any string safe to print on one line in a message of ours.
// Controls, line breaks, bidirectional and invisible characters, backslashes
// and bytes that are not UTF-8 appear as Go escapes, such as \n or \u202e; a
// string beyond 4,096 characters ends in an ellipsis.
func Clean(s string) string {
	var b strings.Builder
	for n := 0; len(s) > 0; n++ {
		if n == maxClean {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '"':
			b.WriteByte('"')
		case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Bidi_Control), r == '\u2800':
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			q := strconv.Quote(s[:size])
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}
