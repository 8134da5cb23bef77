// Package traps tells an owner what an agent left in a folder that it could
// write: what a program on the host would run later, or what misleads people
// and programs. It looks once before the run (Take) and once after (Changes),
// and names only what is new or different since.
//
// The tree is taken for the work of a hostile program. It is walked by
// descriptors, no link is followed, nothing but regular files and folders is
// ever opened, and depth, entries, memory and findings are bounded; where a
// bound is met, the report says so. Names are as they lie in the folder:
// whoever prints one cleans it first (terminal.Clean).
//
// It reports and changes nothing. It is no boundary: ordinary source files are
// run by their owner too, and no list of names is complete. In folders of
// installed packages, whose code is run as a matter of course, ordinary package
// content (build files, CI files, editor settings) is not named.
package traps

// Kind is what sort of trap a finding may be.
type Kind string

// The kinds.
const (
	GitHook      Kind = "git-hook"
	GitConfig    Kind = "git-config"
	GitRedirect  Kind = "git-redirect" // a repository that was not there, or sends git elsewhere
	ShellStartup Kind = "shell-startup"
	Environment  Kind = "environment" // what tools load on entering or starting
	Editor       Kind = "editor-settings"
	Instructions Kind = "agent-instructions" // and the settings of agents
	CI           Kind = "ci"
	BuildEntry   Kind = "build-entry"
	LinkOut      Kind = "link-out"
	SetUID       Kind = "setuid" // or setgid
	Device       Kind = "device"
	FIFO         Kind = "fifo"
	Socket       Kind = "socket"
	HostileName  Kind = "hostile-name"
	Unseen       Kind = "unseen" // could not be looked into
)

// Change is what happened to an entry. The zero value is unknown.
type Change string

// The changes.
const (
	New     Change = "new"
	Changed Change = "changed"
)

// Severity says how loudly to tell it. The zero value is the loudest.
type Severity uint8

// The severities.
const (
	High Severity = iota // acts without being asked for, or misleads
	Note                 // ordinary work changes it too
)

func (s Severity) String() string {
	if s == Note {
		return "note"
	}
	return "high"
}

// MarshalText writes the severity as its word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that the agent left.
type Finding struct {
	Path     string   `json:"path"` // relative to the folder; hostile, not cleaned
	Kind     Kind     `json:"kind"`
	Change   Change   `json:"change"`
	Severity Severity `json:"severity"`
	Why      string   `json:"why"` // one plain sentence
}

// Report is what Changes found: the loudest first, then by depth and path.
type Report struct {
	Findings []Finding    `json:"findings"`
	More     map[Kind]int `json:"more,omitempty"` // left out of Findings, which holds at most 100 of a kind
	// Cut says why the look ended early, where it did: other traps may lie in
	// the folder then.
	Cut string `json:"cut,omitempty"`
}
