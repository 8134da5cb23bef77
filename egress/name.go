package egress

import (
	"net/netip"
	"strings"
)

// Name is a host as rules know it: a name in lower case without its last dot,
// or an address in its one spelling. Anything else is nobody's name, and ok is
// false: names beyond ASCII in any but their xn-- form, what only looks like an
// address (0x7f.1, 127.1, 017700000001), addresses with a zone.
func Name(s string) (name string, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String(), a.Zone() == ""
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return "", false
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return "", false
		}
	}
	name = string(b)
	last := name
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		last = label
	}
	return name, '0' > last[0] || last[0] > '9'
}

// clean tells whether an escaped path has only one reading: no dots, empty
// segments, parameters, backslashes, and no escape for what need not be escaped
// or separates. It must be printable ASCII in any case, else ok is false.
func clean(path string) (clean, ok bool) {
	if !strings.HasPrefix(path, "/") || len(path) > maxPath {
		return false, false
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ' || c >= 0x7f || c == '#' || c == '?':
			return false, false
		case c == '%' && (i+2 >= len(path) || !hex(path[i+1]) || !hex(path[i+2])):
			return false, false
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s == "" && i < len(segments)-1 || s == "." || s == ".." || strings.ContainsAny(s, `;\`) || !escapes(s) {
			return false, true
		}
	}
	return true, true
}

// maxPath bounds a path, which could carry something out by itself.
const maxPath = 4096

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// escapes tells whether a segment's escapes all stand for what must be escaped
// and does not separate.
func escapes(segment string) bool {
	for _, after := range strings.Split(segment, "%")[1:] {
		c := digit(after[0])<<4 | digit(after[1])
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if letter || c < ' ' || c == 0x7f || strings.IndexByte(`-._~/\;%`, c) >= 0 {
			return false
		}
	}
	return true
}

func digit(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	default:
		return c&^0x20 - 'A' + 10
	}
}
