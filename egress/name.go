package egress

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// letters are what names are written in.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// Name is a host as rules know it: a name in lower case without its last dot,
// or an address in its one spelling. Anything else is nobody's name, and ok is
// false: names beyond ASCII in any but their xn-- form, what only looks like an
// address (0x7f.1, 127.1, 017700000001), addresses with a zone.
func Name(s string) (name string, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String(), a.Zone() == ""
	}
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 || strings.Trim(s, letters) != "" {
		return "", false
	}
	name = strings.ToLower(s)
	var last string
	for last = range strings.SplitSeq(name, ".") {
		if last == "" || len(last) > 63 || strings.Trim(last, "-") != last {
			return "", false
		}
	}
	return name, last[0] > '9' // a letter, or _
}

// maxPath bounds a path, which could carry something out by itself.
const maxPath = 4096

// escape is one that stands for what must be escaped and does not separate.
var escape = regexp.MustCompile(`%(?i:2[0-46-9a-c]|3[ac-f]|[46]0|5[bde]|7[b-d]|[89a-f][0-9a-f])`)

// clean tells whether an escaped path has only one reading: no dots, empty
// segments, parameters, backslashes, and no escape for what need not be escaped
// or separates. It must be printable ASCII in any case, else ok is false.
func clean(p string) (clean, ok bool) {
	_, err := url.PathUnescape(p)
	never := func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' || c == '?' }
	if err != nil || !strings.HasPrefix(p, "/") || len(p) > maxPath || strings.ContainsFunc(p, never) {
		return false, false
	}
	return straight(p) && !strings.ContainsAny(escape.ReplaceAllString(p, ""), `%;\`), true
}

// straight tells whether a path has no dots and no empty segments.
func straight(p string) bool {
	return p == path.Clean(p) || p == path.Clean(p)+"/" && p != "//"
}
