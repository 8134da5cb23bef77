package mountlist

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/policy"
	"nacre/remedy"
	"nacre/strict"
)

// Options are what the translation must know besides the list.
type Options struct {
	Home string // the owner's, absolute
	Main string // the path of the main agent's manifest; empty: no agent is the main one
	// Policies are the policies' own paths, which no agent is ever granted.
	Policies []string
	// Real is a path without symbolic links, as far as it exists.
	Real func(string) string
}

// Note is one thing that is not carried over, or not with the same meaning.
type Note struct {
	At   nacre.Origin
	Text string
}

// translation collects rules and notes.
type translation struct {
	Options
	list  *List
	rules policy.FileRules
	main  []policy.Root // what the main agent may besides
	notes []Note
}

// Policy translates a list. The text is what a policy says besides its version;
// empty where the list allows nothing.
func (l *List) Policy(o Options) (text string, notes []Note, err error) {
	t := &translation{Options: o, list: l}
	if !t.patterns() {
		return "", t.notes, nil
	}
	if err := t.roots(); err != nil {
		return "", nil, err
	}
	return t.text(), t.notes, t.refusals()
}

// refusals notes the folders that Nacre grants to nobody.
func (t *translation) refusals() error {
	imported := &policy.Policy{Rules: policy.Rules{Files: t.rules}}
	authority, err := policy.New(policy.Owner{Home: t.Home, Policies: t.Policies}, nacre.Subject{}, imported, nil, policy.Rules{})
	if err != nil {
		return err
	}
	for _, r := range t.rules.Roots {
		full, err := policy.Resolve(r.Path, "", t.Home, r.Origin)
		if err != nil {
			return err
		}
		if d, refused := authority.Refused(nacre.Decision{}, full, r.Access); refused {
			t.note(r.Origin, "allowedRoots: %s itself is granted to nobody: %s", r.Path, d.Reason)
		}
	}
	return nil
}

func (t *translation) note(at nacre.Origin, format string, args ...any) {
	t.notes = append(t.notes, Note{at, fmt.Sprintf(format, args...)})
}

// patterns makes names of texts; false where one of them blocks every path.
func (t *translation) patterns() bool {
	for _, p := range t.list.Patterns {
		name, can := glob(p.Value)
		switch {
		case name == "":
			t.note(p.Origin, "blockedPatterns: %q is in every path, so that nothing may be mounted: nothing is carried over", p.Value)
			return false
		case !can:
			t.note(p.Origin, "blockedPatterns: %q is in no path that exists: not carried over", p.Value)
			continue
		}
		t.block(name)
		t.note(p.Origin, "blockedPatterns: the text %q anywhere in a mounted folder's path is here a name, %s; "+
			"stricter: whatever the letters' case, and entries inside granted folders are masked as well", p.Value, name)
	}
	for _, p := range Always() {
		name, _ := glob(p)
		t.block(name)
	}
	t.note(t.list.Origin, "the %d texts that are always blocked there are here names, such as *.env*; stricter in the same way "+
		"(a file credentials_test.go is masked): take such a line out where the built-in whole names are enough", len(Always()))
	return true
}

func (t *translation) block(name string) {
	for _, has := range t.rules.Blocked {
		if has.Value == name {
			return
		}
	}
	t.rules.Blocked = append(t.rules.Blocked, strict.Text{Value: name})
}

// glob is the name, or names that follow each other, that every path with the
// text in it has. It is empty for a text that is in every absolute path. A text
// that asks for an empty component, . or .. is in none.
func glob(text string) (name string, can bool) {
	if text == "" || text == "/" {
		return "", true
	}
	parts := strings.Split(text, "/")
	for i, part := range parts {
		if i > 0 && i < len(parts)-1 && (part == "" || part == "." || part == "..") {
			return text, false
		}
		part = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(part)
		if i == 0 {
			part = "*" + part
		}
		if i == len(parts)-1 {
			part += "*"
		}
		parts[i] = part
	}
	// What only begins or ends with / says nothing about its neighbour.
	if parts[0] == "*" && len(parts) > 1 {
		parts = parts[1:]
	}
	if last := len(parts) - 1; parts[last] == "*" && last > 0 {
		parts = parts[:last]
	}
	return strings.Join(parts, "/"), true
}

// roots carries the folders over. NanoClaw asks the first root around a path,
// Nacre the narrowest: a root within an earlier one counts for nothing there,
// so that here it may not allow more than the earlier one.
func (t *translation) roots() error {
	var earlier []Root // with their real paths, and what they really allow
	for _, r := range t.list.Roots {
		written, err := policy.Resolve(r.Path, "", t.Home, r.Origin)
		if err != nil {
			return err
		}
		real := path.Clean(t.Real(written))
		if real != written {
			t.note(r.Origin, "allowedRoots: %s leads through a symbolic link, which Nacre does not follow: carried over as %s", written, real)
		}
		around := slices.IndexFunc(earlier, func(e Root) bool { return policy.Within(e.Path, real) })
		if around >= 0 && earlier[around].Path == real {
			t.note(r.Origin, "allowedRoots: %s is there twice, and the first counts: not carried over", real)
			continue
		}
		if around >= 0 {
			t.note(r.Origin, "allowedRoots: %s counts for nothing there, since %s comes first; here the narrowest decides, "+
				"carried over with the lesser access of both", real, earlier[around].Path)
			r.Write = r.Write && earlier[around].Write
		}
		r.Path = real
		earlier = append(earlier, r)
		t.root(r)
	}
	return nil
}

func (t *translation) root(r Root) {
	root := policy.Root{Path: r.Path, Access: nacre.Read, Reason: r.Description, Origin: r.Origin}
	if rest, below := strings.CutPrefix(r.Path, t.Home+"/"); below {
		root.Path = "~/" + rest
	}
	switch {
	case !r.Write:
	case !t.list.NonMainReadOnly:
		root.Access = nacre.Write
	case t.Main == "":
		t.note(r.Origin, "allowedRoots: %s is for the main group to write; Nacre has no main group, so that everybody only reads; "+
			"--main FILE names the manifest of the one agent that may write", r.Path)
	default:
		write := root
		write.Access = nacre.Write
		t.main = append(t.main, write)
	}
	t.rules.Roots = append(t.rules.Roots, root)
}

// text writes the rules as lines of a policy.
func (t *translation) text() string {
	var b strings.Builder
	b.WriteString("files:\n")
	roots := func(indent string, list []policy.Root) {
		b.WriteString(indent + "roots:\n")
		for _, r := range list {
			fmt.Fprintf(&b, "%s  - %s\n", indent, remedy.Flow(r))
		}
	}
	if len(t.rules.Roots) > 0 {
		roots("  ", t.rules.Roots)
	}
	b.WriteString("  blocked:\n")
	for _, name := range t.rules.Blocked {
		fmt.Fprintf(&b, "    - %s\n", remedy.Quote(name.Value))
	}
	if len(t.main) > 0 {
		fmt.Fprintf(&b, "agents:\n  - manifest: %s\n    files:\n", remedy.Quote(t.Main))
		roots("      ", t.main)
	}
	return b.String()
}
