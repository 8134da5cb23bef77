package remedy

import (
	"cmp"
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/policy"
	"nacre/strict"
)

// Decide decides the same things of any input: every denial, and what was asked for
// each, as written.
type Decide func(compile.Input) (denied []nacre.Decision, asked []any, err error)

// Try gives each denial of an input its remedy: all that it takes, in both policies,
// found by adding one line after the other and deciding anew. Where no line helps it
// says what to do instead, if there is anything.
func Try(in compile.Input, decide Decide) ([]nacre.Decision, error) {
	first, entries, err := decide(in)
	if err != nil {
		return nil, err
	}
	if len(first) > maxThings {
		for i, d := range first {
			first[i].Remedy = cmp.Or(Unenforced(d.Capability), Line(d, entries[i]))
		}
		return first, nil
	}
	t := trial{in: in, things: map[string]*thing{}}
	denied, asked := first, entries
	for t.round = range maxRounds {
		helps := false
		t.tried = t.in
		for i, d := range denied {
			helps = t.add(d, asked[i]) || helps
		}
		if !helps {
			break
		}
		if denied, asked, err = decide(t.in); err != nil {
			break // what is granted now meets something else
		}
	}
	for i, d := range first {
		first[i].Remedy = t.things[key(d, entries[i])].String()
	}
	return first, nil
}

// maxRounds is more than the lines that any one thing takes. Of more things than maxThings
// no line is tried: a stranger's manifest may ask for thousands, and each of them would
// be decided anew by the lines of all others.
const (
	maxRounds = 20
	maxThings = 100
)

// trial adds what is missing to an input.
type trial struct {
	in     compile.Input
	tried  compile.Input // of which the denials are
	round  int
	things map[string]*thing
}

// thing is one thing that was denied, and what it takes.
type thing struct {
	nothing  bool     // would help
	instead  string   // of a line
	narrower []string // roots that are in the way of any line
	layers   [2]layer // the owner's policy, the administrator's ceiling
}

// layer is what one policy would have to say.
type layer struct {
	unblocked []string
	entry     string // a line
	added     int    // in which round it was
}

func key(d nacre.Decision, asked any) string {
	k := string(d.Capability) + "\x00" + d.Subject
	if asked != nil {
		k += "\x00" + Flow(asked)
	}
	return k
}

// add adds what a denied thing takes next, and tells whether there was anything.
func (t *trial) add(d nacre.Decision, asked any) bool {
	k := key(d, asked)
	if t.things[k] == nil {
		t.things[k] = &thing{instead: Unenforced(d.Capability)}
	}
	is, at := t.things[k], 0
	line := strings.TrimSuffix(Line(d, asked), ceiling)
	switch pattern, blocked := strings.CutPrefix(d.Rule, "blocked."); {
	case is.nothing || is.instead != "":
		return false
	case blocked:
		if p := t.tried.Policy; p != nil && unblocks(p.Rules, pattern) || unblocks(t.tried.Granted, pattern) {
			at = 1
		}
		is.nothing = !is.layers[at].unblock(pattern)
	case t.widen(is, d):
		return true
	default:
		if strings.HasPrefix(d.Rule, "ceiling.") {
			at = 1
		}
		l := &is.layers[at]
		is.nothing = l.entry != "" && l.added < t.round // of a preset several places may lack the same
		l.entry, l.added = line, t.round
	}
	p, err := policy.Parse("remedy", []byte("version: 1\n"+line))
	is.nothing = is.nothing || line == "" || at == 1 && t.in.Ceiling == nil
	if err != nil {
		is.instead = "declare it in a manifest: nacre plan --agent then shows the policy's line"
	}
	if is.nothing || err != nil {
		return false
	}
	if at == 0 {
		t.in.Granted.Add(p.Rules)
	} else {
		more := *t.in.Ceiling
		more.Rules.Add(p.Rules)
		t.in.Ceiling = &more
	}
	return true
}

func unblocks(r policy.Rules, pattern string) bool {
	return slices.ContainsFunc(r.Files.Unblocked, func(t strict.Text) bool { return t.Value == pattern })
}

// unblock notes a name, if it is not noted yet.
func (l *layer) unblock(pattern string) bool {
	if slices.Contains(l.unblocked, pattern) {
		return false
	}
	l.unblocked = append(l.unblocked, pattern)
	return true
}

// widen takes a narrower root out of the way that a denial names.
func (t *trial) widen(is *thing, d nacre.Decision) bool {
	_, named, ok := strings.Cut(d.Reason, "allows it: ")
	if !ok || !strings.Contains(named, below) {
		return false
	}
	away := func(r *policy.Rules) {
		r.Files.Roots = slices.DeleteFunc(slices.Clone(r.Files.Roots), func(root policy.Root) bool {
			return strings.HasSuffix(named, below+root.Access.String()+" ("+root.Origin.String()+")")
		})
	}
	away(&t.in.Granted)
	for _, p := range []**policy.Policy{&t.in.Policy, &t.in.Ceiling} {
		if *p == nil {
			continue
		}
		less := **p
		less.Agents = slices.Clone(less.Agents)
		away(&less.Rules)
		for i := range less.Agents {
			away(&less.Agents[i].Rules)
		}
		*p = &less
	}
	if slices.Contains(is.narrower, named) {
		return false
	}
	is.narrower = append(is.narrower, named)
	return true
}

// below is how package policy says that a root is narrower.
const below = " below it is at most "

// Unenforced says of a capability that no engine can enforce yet what to do, empty of
// any other.
func Unenforced(c nacre.Capability) string {
	if slices.Contains([]nacre.Capability{nacre.CapMessages, nacre.CapSchedule, nacre.CapDevices}, c) {
		return "this version cannot enforce " + string(c) + " yet, whatever a policy says: leave it out of the manifest"
	}
	return ""
}

// String is the line that a policy takes, with what belongs into the ceiling as its
// comment; or a sentence that says what to do.
func (is *thing) String() string {
	if is.instead != "" || is.nothing {
		return is.instead
	}
	own, above := is.layers[0].String(), is.layers[1].String()
	line := own
	switch {
	case above == "":
	case own == "":
		line = above + ceiling
	case own == above:
		line = own + " # and the same" + strings.TrimPrefix(ceiling, " #")
	default:
		line = own + " # and" + strings.TrimPrefix(ceiling, " #") + ": " + above
	}
	if len(is.narrower) == 0 {
		return line
	}
	s := strings.Join(is.narrower, ", ") + ", which stands in the way: allow as much there, or take it out"
	if line != "" {
		s += "; besides it takes: " + line
	}
	return s
}

func (l layer) String() string {
	if len(l.unblocked) == 0 {
		return l.entry
	}
	names := make([]string, len(l.unblocked))
	for i, n := range l.unblocked {
		names[i] = Quote(n)
	}
	line := "files: {unblocked: [" + strings.Join(names, ", ") + "]"
	if rest, ok := strings.CutPrefix(l.entry, "files: {"); ok {
		return line + ", " + rest
	}
	return line + "}"
}

// IsLine tells whether a remedy is a line of a policy.
func IsLine(s string) bool {
	_, err := policy.Parse("remedy", []byte("version: 1\n"+s))
	return s != "" && err == nil
}

// Above tells whether a line, or a part of it, belongs into the administrator's policy.
func Above(line string) bool {
	return IsLine(line) && strings.Contains(line, strings.TrimPrefix(ceiling, " #")) && strings.Contains(line, " # ")
}
