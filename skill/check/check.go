// Package check looks at a skill before it is kept, and says what an owner
// should see first: text that does not show, sentences that try to command an
// agent, reaching for secrets and networks that were not declared, programs
// where none are expected, names made to be mistaken.
//
// It is a reader's help and no boundary: a skill that says nothing of this can
// still lie. What a skill may do is decided by plans alone.
package check

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"nacre/fault"
	"nacre/harness"
	"nacre/skill"
)

// Severity is how much a finding should worry. The zero value is the worst.
type Severity int

// The severities.
const (
	High Severity = iota // must be accepted by name of the flag
	Note                 // is shown
)

func (s Severity) String() string { return map[Severity]string{High: "high", Note: "note"}[s] }

// MarshalText writes the severity as its word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// The kinds of findings.
const (
	HiddenText = "hidden-text" // characters that do not show, or turn text round
	Injection  = "injection"   // sentences that command an agent past its owner
	Secrets    = "secrets"     // names of keys, tokens and places where they lie
	Network    = "network"     // hosts and programs that reach them, not declared
	Shell      = "shell"       // what is fetched or decoded is run, programs beyond its tools
	Stay       = "persistence" // what would be run or obeyed later, elsewhere
	Program    = "program"     // something that can be run
	Settings   = "settings"    // files that agents, editors or git obey
	Disguise   = "disguise"    // content that is not what the name says
	Unread     = "unread"      // what was not looked into
	Typosquat  = "typosquat"   // a name like another's
	Tools      = "tools"       // tools that its author would allow
	Scripts    = "scripts"     // packages' scripts that are run as they are installed
	Size       = "size"        // more than a skill needs
)

// Finding is one thing that an owner should see.
type Finding struct {
	Severity Severity `json:"severity"`
	Kind     string   `json:"kind"`
	Where    string   `json:"where"` // a file, with a line if there is one
	What     string   `json:"what"`
}

// maxFindings bounds what is told of one skill: of each severity.
const maxFindings = 200

// maxText is the largest text that is searched, and maxSearched the most of all.
const (
	maxText     = 1 << 20
	maxSearched = 16 << 20
)

// look is one look at a skill.
type look struct {
	skill            *skill.Skill
	forms            []form
	address, clients *regexp.Regexp
	starts, told     *regexp.Regexp
	list             []Finding
	seen             map[Finding]bool
	count            [2]int // by severity
	searched         int
}

// Look looks at a skill: it could be mistaken for others of the owner's, and for
// Nacre's own.
func Look(s *skill.Skill, files fs.FS, others, own []string) ([]Finding, error) {
	l := &look{skill: s, forms: forms(), seen: map[Finding]bool{}}
	l.address, l.clients = network()
	l.starts, l.told = starts()
	l.names(others, own)
	l.whole()
	for _, f := range s.Files {
		if err := l.file(files, f); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(l.list, func(a, b Finding) int { return int(a.Severity) - int(b.Severity) })
	return l.list, nil
}

// Kinds are the kinds of the findings that have to be accepted, sorted.
func Kinds(list []Finding) (kinds []string) {
	for _, f := range list {
		if f.Severity == High && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func (l *look) add(s Severity, kind, where, format string, args ...any) {
	f := Finding{s, kind, where, fmt.Sprintf(format, args...)}
	if l.seen[f] {
		return
	}
	l.seen[f] = true
	switch l.count[s]++; {
	case l.count[s] <= maxFindings:
		l.list = append(l.list, f)
	case l.count[s] == maxFindings+1:
		l.list = append(l.list, Finding{s, Unread, "", fmt.Sprintf("there are more than %d findings like these; the others are not shown", maxFindings)})
	}
}

// whole says what is to be said of the skill as a whole.
func (l *look) whole() {
	s := l.skill
	if s.AllowedTools != "" {
		l.add(Note, Tools, skill.Main, "its author would allow an agent these tools unasked: %s; nothing is granted by that", s.AllowedTools)
	}
	if s.Kind == skill.Harness {
		for _, one := range harness.Scripts(s.Definition) {
			l.add(High, Scripts, harness.File, "the scripts of the package %s are run as it is installed", one)
		}
	}
	if s.Total > 8<<20 || len(s.Files) > 500 {
		l.add(Note, Size, "", "it holds %d files and %d KiB", len(s.Files), s.Total>>10)
	}
}

func (l *look) file(files fs.FS, f skill.File) error {
	in, err := files.Open(f.Path)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be read", f.Path)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxText+1))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be read", f.Path)
	}
	l.called(f)
	code := l.content(f, data)
	switch {
	case !utf8.Valid(data) || strings.ContainsRune(string(data), 0):
		return nil // what it is was said by its content
	case len(data) > maxText:
		l.add(High, Unread, f.Path, "the text is larger than %d MiB and was not searched", maxText>>20)
		return nil
	case l.searched+len(data) > maxSearched:
		l.add(High, Unread, f.Path, "it was not searched: the texts before it have %d MiB", maxSearched>>20)
		return nil
	}
	l.searched += len(data)
	l.runs(lines(f.Path), f.Path, visible(string(data)), code)
	l.text(lines(f.Path), f.Path, string(data), code)
	l.decoded(f.Path, string(data))
	return nil
}

// documents are the endings of what is read, not run.
var documents = []string{".md", ".markdown", ".txt", ".rst", ".adoc", ".json", ".yaml", ".yml", ".toml", ".csv", ".xml", ".html", ".css", ".svg", ".xsd", ".tex"}

func isDocument(name string) bool { return slices.Contains(documents, strings.ToLower(path.Ext(name))) }
