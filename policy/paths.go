package policy

import (
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/manifest"
)

// Resolve makes a written path absolute and clean, by its letters alone: ~ is
// home, and a relative path begins at base (an empty base refuses it).
func Resolve(written, base, home string, from nacre.Origin) (string, error) {
	rest, tilde := strings.CutPrefix(written, "~")
	full := written
	switch {
	case written == "" || strings.ContainsRune(written, 0):
		return "", manifest.Invalid(from, "path: expected a path, found %q", written)
	case tilde && rest != "" && rest[0] != '/':
		return "", manifest.Invalid(from, "path: %q: only the owner's own home (~/) is known", written).
			WithHint("for a file of that name write ./%s", written)
	case tilde && !path.IsAbs(home):
		return "", manifest.Invalid(from, "path: %q: the owner's home folder is not known", written)
	case tilde:
		full = home + rest
	case !path.IsAbs(written) && base == "":
		return "", manifest.Invalid(from, "path: expected an absolute path or one below ~/, found %q", written)
	case !path.IsAbs(written):
		full = base + "/" + written
	}
	full = path.Clean(full)
	if long := func(part string) bool { return len(part) > 255 }; len(full) > 4095 || slices.ContainsFunc(strings.Split(full, "/"), long) {
		return "", manifest.Invalid(from, "path: over 4095 bytes, or a name in it over 255")
	}
	return full, nil
}

// Within tells whether a clean path is the folder or lies below it.
func Within(folder, p string) bool {
	return folder == p || folder == "/" || strings.HasPrefix(p, folder) && p[len(folder)] == '/'
}
