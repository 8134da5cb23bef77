package native

import (
	"slices"
	"strings"

	"nacre/sandbox"
	"nacre/settings"
)

// gitControl is what of a git folder decides what git runs.
var gitControl = []string{"hooks", "config", "config.worktree", "commondir"}

// guards says what of a writable folder is guarded. A git folder is held in
// place, and what of it decides what git runs is read-only, in submodules too.
// Settings of editors and agents that exist stay as they are; new ones are
// reported after the run (package traps).
func guards() sandbox.Guarded {
	names := settings.All()
	return func(parents []string, name string) (guarded, readOnly bool) {
		git := slices.Index(parents, ".git")
		switch {
		case name == ".git":
			return true, false
		case git >= 0 && slices.Contains(gitControl, name):
			inside := parents[git+1:]
			own := len(inside) == 0
			submodule := len(inside) >= 2 && inside[0] == "modules"
			return own || submodule, true
		default:
			return git < 0 && slices.Contains(names, strings.ToLower(name)), true
		}
	}
}
