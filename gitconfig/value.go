package gitconfig

import (
	"path"
	"strings"
)

// data are variables, or whole sections, whose values git neither runs nor obeys as
// configuration. Addresses, branches and people are no paths; the rest is read as text.
var data = map[string]bool{
	"author": true, "blame.ignorerevsfile": true, "branch": true, "committer": true, "commit.template": true, "core.excludesfile": true,
	"core.worktree": true, "format.signaturefile": true, "include": true, "includeif": true, "mailmap": true, "maintenance": true,
	"remote.fetch": true, "remote.push": true, "remote.pushurl": true, "remote.url": true, "safe": true,
	"submodule.branch": true, "submodule.path": true, "submodule.url": true, "url": true, "user": true,
}

// folders are variables that name a folder of hooks.
var folders = map[string]bool{"core.hookspath": true, "init.templatedir": true}

// includes tells whether a variable names further configuration.
func (v Variable) includes() bool {
	return v.Name == "path" && (v.Section == "include" || v.Section == "includeif")
}

// paths are what of a value may be the path of a program, or of a file that a program is
// given: the whole of it, what is in quotes, and each word; with a slash, or a dot in its
// name. Of an alias, which is run by its name, only with a slash: what it reads is seldom
// what it runs.
func (v Variable) paths(home string) (list []string) {
	if data[v.Section] || data[v.Key()] {
		return nil
	}
	text := strings.NewReplacer("${HOME}", home, "$HOME", home).Replace(strings.TrimPrefix(v.Value, ":(optional)"))
	words := []string{text}
	for _, between := range []string{`"'`, " \t\n", "\"' \t\n;|&()<>$`{}=,:!"} {
		words = append(words, strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(between, r) })...)
	}
	seen := map[string]bool{}
	for _, w := range words {
		named := strings.Contains(w, "/") || v.Section != "alias" && strings.Contains(w, ".") || strings.HasSuffix(v.Name, "file")
		if w = strings.TrimSpace(strings.TrimLeft(w, "!")); named && !seen[w] && len(w) < 4096 {
			seen[w] = true
			list = append(list, w)
		}
	}
	return list
}

// expand makes a path absolute: ~ is a home, what is relative lies in one of the bases. What
// is absolute may be the rest of a path that a command puts together
// ("$(git rev-parse --show-toplevel)/x"), and lie in a base too.
func expand(name, home string, bases []string, pieces bool) (list []string) {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, ":(optional)"), "\x00")
	rest, inHome := strings.CutPrefix(name, "~/")
	switch {
	case name == "":
		return nil
	case inHome && home != "":
		return []string{path.Join(home, rest)}
	case name[0] == '~':
		return ofUser(name)
	case path.IsAbs(name):
		list = append(list, name)
		if !pieces {
			return list
		}
	}
	for _, base := range bases {
		list = append(list, base+"/"+name) // not joined: what is before a ".." may be a link
	}
	return list
}
