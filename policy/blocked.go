package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Blocked matches names that are masked in every granted folder. A pattern is
// one component, or several that must follow each other; each may hold * and
// ? and [a-z]. A pattern that begins with / is anchored at the host's root.
// Components match whole, whatever their case.
type Blocked struct {
	patterns []string
	last     map[string][]sequence // by the folded last component, where it is no glob
	globs    []sequence
}

type sequence struct {
	pattern  string
	parts    []string // folded
	anchored bool
	prefix   string // what a last part that is a glob must begin with
}

// harmless are the endings of .env.* files that hold no secrets.
var harmless = []string{".env.example", ".env.sample", ".env.template", ".env.dist"}

// NewBlocked makes a matcher of patterns, in any order.
func NewBlocked(patterns []string) (*Blocked, error) {
	b := &Blocked{patterns: slices.Compact(slices.Sorted(slices.Values(patterns))), last: map[string][]sequence{}}
	for _, p := range b.patterns {
		rest, anchored := strings.CutPrefix(p, "/")
		s := sequence{pattern: p, parts: strings.Split(fold(rest), "/"), anchored: anchored}
		for _, part := range s.parts {
			if _, err := path.Match(part, ""); err != nil || part == "" || part == "." || part == ".." || strings.Trim(rest, "*/") == "" {
				return nil, fmt.Errorf("expected a name, or names with / between them, with * for a part of one; found %q", p)
			}
		}
		if last := s.parts[len(s.parts)-1]; isGlob(last) {
			s.prefix = last[:strings.IndexAny(last, meta)]
			b.globs = append(b.globs, s)
		} else {
			b.last[last] = append(b.last[last], s)
		}
	}
	return b, nil
}

// Patterns are the sorted patterns, from which NewBlocked makes an equal matcher.
func (b *Blocked) Patterns() []string { return b.patterns }

// Match tells whether any component of a path is blocked, and by what. A
// relative path is matched as if its parents were unknown.
func (b *Blocked) Match(name string) (pattern string, ok bool) {
	rest, absolute := strings.CutPrefix(name, "/")
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		if pattern, ok := b.entry(parts[:i], part, absolute); ok {
			return pattern, true
		}
	}
	return "", false
}

// MatchEntry tells whether one entry of a folder is blocked, given the
// components of the folder's absolute path on the host. It says nothing of the
// folder itself.
func (b *Blocked) MatchEntry(parents []string, name string) (pattern string, ok bool) {
	return b.entry(parents, name, true)
}

func (b *Blocked) entry(parents []string, name string, absolute bool) (string, bool) {
	folded := fold(name)
	for _, s := range b.last[folded] {
		if s.follows(parents, absolute) {
			return s.pattern, true
		}
	}
	for _, s := range b.globs {
		if !strings.HasPrefix(folded, s.prefix) {
			continue // most names leave here
		}
		last := s.parts[len(s.parts)-1]
		if matchPart(last, folded) && s.follows(parents, absolute) && !(last == ".env.*" && slices.Contains(harmless, folded)) {
			return s.pattern, true
		}
	}
	return "", false
}

// follows tells whether the parents end as all but the last part demand.
func (s sequence) follows(parents []string, absolute bool) bool {
	before := s.parts[:len(s.parts)-1]
	skip := len(parents) - len(before)
	if skip < 0 || s.anchored && (skip != 0 || !absolute) {
		return false
	}
	for i, part := range before {
		if !matchPart(part, fold(parents[skip+i])) {
			return false
		}
	}
	return true
}

const meta = `*?[\`

func isGlob(part string) bool { return strings.ContainsAny(part, meta) }

func matchPart(part, name string) bool {
	if !isGlob(part) {
		return part == name
	}
	ok, err := path.Match(part, name)
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
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
