package policy

import (
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/strict"
)

// Resolve makes a written path absolute and clean, by its letters alone: ~ is
// home, and a relative path begins at base (an empty base refuses it).
func Resolve(written, base, home string, from nacre.Origin) (string, error) {
	full := written
	if rest, ok := strings.CutPrefix(written, "~"); ok && path.IsAbs(home) && (rest == "" || rest[0] == '/') {
		full = home + rest
	} else if !ok && base != "" && !path.IsAbs(written) {
		full = base + "/" + written
	}
	switch {
	case written == "" || strings.ContainsRune(written, 0):
		return "", strict.Invalid(from, "path: expected a path, found %q", written)
	case !path.IsAbs(full) && written[0] == '~':
		return "", strict.Invalid(from, "path: %q: only the owner's own home (~/) is known, if that", written).
			WithHint("for a file of that name write ./%s", written)
	case !path.IsAbs(full):
		return "", strict.Invalid(from, "path: expected an absolute path or one below ~/, found %q", written)
	}
	full = path.Clean(full)
	if long := func(part string) bool { return len(part) > 255 }; len(full) > 4095 || slices.ContainsFunc(strings.Split(full, "/"), long) {
		return "", strict.Invalid(from, "path: over 4095 bytes, or a name in it over 255")
	}
	return full, nil
}

// Within tells whether a clean path is the folder or lies below it.
func Within(folder, p string) bool {
	return folder == p || folder == "/" || strings.HasPrefix(p, folder) && p[len(folder)] == '/'
}

// reserved are places of the host that can never be granted: themselves, and
// (true) all below.
var reserved = map[string]bool{"/": false, "/etc": false, "/proc": true, "/sys": true, "/dev": true, "/run": true,
	"/var/run": true, "/boot": true}

// At is the place of a table that a path is in: itself or, where the table says true, below it.
func At(table map[string]bool, p string) (place string, ok bool) {
	for place, below := range table {
		if p == place || below && Within(place, p) {
			return place, true
		}
	}
	return "", false
}
