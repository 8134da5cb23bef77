package native

import (
	"io/fs"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/sandbox"
	"nacre/settings"
)

// gitControl is what of a git folder decides what git runs.
var gitControl = []string{"hooks", "config", "config.worktree", "commondir"}

// guards says what of a writable folder is guarded. A git folder is held in
// place, and what of it decides what git runs is read-only, in bare
// repositories, submodules and linked work trees too; so is a .git that is a
// file, since it names the git folder. Settings of editors and agents that
// exist stay as they are; new ones are reported after the run (package traps).
func guards() sandbox.Guarded {
	names := settings.All()
	return func(parents []string, e fs.DirEntry) (guarded, readOnly bool, err error) {
		name, link := strings.ToLower(e.Name()), e.Type()&fs.ModeSymlink != 0
		git := gitFolder(parents)
		control := git >= 0 && slices.Contains(gitControl, name) && controls(parents[git+1:])
		switch {
		case link && (name == ".git" || control):
			return false, false, linked()
		case name == ".git":
			return true, !e.IsDir(), nil
		case control:
			return e.IsDir() == (name == "hooks"), true, nil
		default:
			return !link && !slices.Contains(parents, ".git") && slices.Contains(names, name), true, nil
		}
	}
}

// linked: a link can be replaced, and what it leads to lies elsewhere.
func linked() error {
	return fault.New(fault.Denied, "git obeys it, and a symbolic link cannot be guarded").
		WithHint("grant the folder to read only; or put the real thing, or a file \"gitdir: PATH\", in the link's place")
}

// gitFolder is the place of the innermost git folder in a path, -1 without one.
// A bare repository is known by its customary name.
func gitFolder(parents []string) int {
	for i := len(parents) - 1; i >= 0; i-- {
		if strings.HasSuffix(strings.ToLower(parents[i]), ".git") {
			return i
		}
	}
	return -1
}

// controls tells whether git obeys what lies at this place of a git folder: its
// top, a submodule's own folder, a linked work tree's.
func controls(inside []string) bool {
	return len(inside) == 0 || len(inside) >= 2 && (inside[0] == "modules" || inside[0] == "worktrees")
}
