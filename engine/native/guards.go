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
		control := slices.Contains(gitControl, name) && gitObeys(parents)
		switch {
		case link && (name == ".git" || control): // it can be replaced, and what it leads to lies elsewhere
			return false, false, fault.New(fault.Denied, "git obeys it, and a symbolic link cannot be guarded").
				WithHint("grant the folder to read only; or put the real thing, or a file \"gitdir: PATH\", in the link's place")
		case name == ".git":
			return true, !e.IsDir(), nil
		case control:
			return e.IsDir() == (name == "hooks"), true, nil
		default:
			return !link && !slices.Contains(parents, ".git") && slices.Contains(names, name), true, nil
		}
	}
}

// gitObeys tells whether git obeys what lies in a folder: the top of a git folder, a
// submodule's own folder or a linked work tree's in it. A bare repository is known by
// its customary name.
func gitObeys(parents []string) bool {
	for i, name := range slices.Backward(parents) {
		if inside := parents[i+1:]; strings.HasSuffix(strings.ToLower(name), ".git") {
			return len(inside) == 0 || len(inside) >= 2 && (inside[0] == "modules" || inside[0] == "worktrees")
		}
	}
	return false
}
