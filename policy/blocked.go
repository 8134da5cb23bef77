package policy

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed blocked.txt
var table string

// builtIn are the names that are masked unless the owner's policy unblocks
// them, each by its name.
var builtIn = slices.DeleteFunc(strings.Split(table, "\n"), func(s string) bool { return s == "" || s[0] == '#' })

// BuiltIn lists the names that are masked unless unblocked.
func BuiltIn() []string { return slices.Clone(builtIn) }

// Blocked matches names that are masked in every granted folder. A pattern is
// one component, or several that must follow each other; each may hold * and
// ? and [a-z]. A pattern that begins with / is anchored at the host's root.
// Components match whole, whatever their case.
type Blocked struct {
	patterns []string
	exact    map[string][]blocker // by the folded last component, where it is no glob
	globs    []blocker
}

// blocker is one pattern, and what a last component that is a glob begins and ends with.
type blocker struct{ pattern, folded, prefix, suffix string }

// harmless are the endings of .env.* files that hold no secrets.
var harmless = []string{".env.example", ".env.sample", ".env.template", ".env.dist"}

// NewBlocked makes a matcher of patterns, in any order.
func NewBlocked(patterns []string) (*Blocked, error) {
	b := &Blocked{patterns: slices.Compact(slices.Sorted(slices.Values(patterns))), exact: map[string][]blocker{}}
	for _, p := range b.patterns {
		folded := fold(p)
		parts := strings.Split(strings.TrimPrefix(folded, "/"), "/")
		for _, part := range parts {
			if _, err := path.Match(part, ""); err != nil || part == "" || part == "." || part == ".." || strings.Trim(folded, "*/") == "" {
				return nil, fmt.Errorf("expected a name, or names with / between them, with * for a part of one; found %q", p)
			}
		}
		last := parts[len(parts)-1]
		if i := strings.IndexAny(last, `*?[\`); i >= 0 {
			b.globs = append(b.globs, blocker{p, folded, last[:i], last[strings.LastIndexAny(last, `*?[]\`)+1:]})
		} else {
			b.exact[last] = append(b.exact[last], blocker{pattern: p, folded: folded})
		}
	}
	return b, nil
}

// Patterns are the sorted patterns, from which NewBlocked makes an equal matcher.
func (b *Blocked) Patterns() []string { return b.patterns }

// Match tells whether any component of an absolute path is blocked, and by what.
func (b *Blocked) Match(name string) (pattern string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for i := 0; i < len(parts) && !ok; i++ {
		pattern, ok = b.MatchEntry(parts[:i], parts[i])
	}
	return pattern, ok
}

// MatchEntry tells whether one entry of a folder is blocked, given the
// components of the folder's absolute path on the host. It says nothing of the
// folder itself.
func (b *Blocked) MatchEntry(parents []string, name string) (pattern string, ok bool) {
	folded := fold(name)
	for _, list := range [][]blocker{b.exact[folded], b.globs} {
		for _, c := range list {
			if strings.HasPrefix(folded, c.prefix) && strings.HasSuffix(folded, c.suffix) && // most names leave here
				c.matches(parents, folded) && !(path.Base(c.folded) == ".env.*" && slices.Contains(harmless, folded)) {
				return c.pattern, true
			}
		}
	}
	return "", false
}

// matches compares as many components as the pattern has; no * or ? crosses a /.
func (c blocker) matches(parents []string, name string) bool {
	pattern, anchored := strings.CutPrefix(c.folded, "/")
	skip := len(parents) - strings.Count(pattern, "/")
	if skip < 0 || anchored && skip != 0 {
		return false
	}
	if skip < len(parents) {
		name = fold(strings.Join(parents[skip:], "/")) + "/" + name
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil // NewBlocked accepted the pattern
}

// fold makes names equal that a case-blind file system would.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return strings.ToLower(strings.ToUpper(s))
		}
	}
	return strings.ToLower(s)
}

// literal is a pattern that matches exactly the path given.
func literal(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(path, `\`, `\\`), "*", `\*`), "?", `\?`), "[", `\[`)
}
