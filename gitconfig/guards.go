package gitconfig

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/sandbox"
)

// hooks are the names that git runs in a folder of hooks (githooks(5)).
var hooks = []string{"applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg", "commit-msg",
	"post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "pre-receive", "update", "proc-receive", "post-receive", "post-update",
	"reference-transaction", "push-to-checkout", "pre-auto-gc", "post-rewrite", "sendemail-validate", "fsmonitor-watchman",
	"p4-changelist", "p4-prepare-changelist", "p4-post-changelist", "p4-pre-submit", "post-index-change"}

// Guards are what has to be guarded in a folder beside what a scan found by name: what
// configuration names is read-only, and the folders above that, up to the work tree, stay
// where they are, as do those above git's own control files. What is not there cannot be
// guarded. Denied: git gets there by a link in the folder, which the agent could replace.
// Exhausted: the configuration is over the bounds.
func Guards(folder string, found sandbox.Findings) ([]sandbox.Guard, error) {
	g := guards{folder: folder, have: map[string]bool{}}
	for _, masked := range found.Masks {
		g.have[masked] = true
	}
	var gits []string
	for _, known := range found.Guards {
		g.have[known.Path] = known.ReadOnly
		dir, name := path.Dir(known.Path), strings.ToLower(path.Base(known.Path))
		switch {
		case name == ".git":
			gits = append(gits, known.Path)
		case name == "config" && strings.ToLower(path.Base(dir)) != ".git":
			gits = append(gits, dir)
		}
	}
	for _, known := range found.Guards {
		if top := control(known.Path); top != "" && known.ReadOnly {
			g.hold(known.Path, top)
		}
	}
	names, err := Find(folder, gits)
	for _, n := range names {
		if err == nil {
			err = g.name(n)
		}
	}
	slices.SortFunc(g.list, func(a, b sandbox.Guard) int { return cmp.Compare(a.Path, b.Path) })
	return g.list, err
}

// control is the git folder that something lies in, empty without.
func control(name string) string {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if strings.ToLower(path.Base(dir)) == ".git" {
			return dir
		}
	}
	return ""
}

type guards struct {
	folder string
	have   map[string]bool // masked, read-only, or else only held in place
	list   []sandbox.Guard
}

func (g *guards) name(n Name) error {
	switch {
	case n.Link != "":
		return fault.New(fault.Denied, "%s: git obeys it (%s), and a symbolic link cannot be guarded", path.Join(g.folder, n.Link), n.Why).
			WithHint("grant the folder to read only; or put the real thing in the link's place, or have git's configuration name it")
	case n.Missing:
		return nil
	case n.Folder && !n.Shared:
		if n.Path != "." { // else its owner granted the very folder
			g.add(n.Path, n.Top)
		}
		return nil
	case !n.Folder:
		g.add(n.Path, n.Top)
		return nil
	}
	return g.hooks(n)
}

// hooks guards what git would run in a work tree that is a folder of hooks too.
func (g *guards) hooks(n Name) error {
	entries, err := os.ReadDir(path.Join(g.folder, n.Path))
	if err != nil {
		return fault.Wrap(fault.Denied, err, "cannot read what git runs (%s)", n.Why)
	}
	for _, e := range entries {
		each := Name{Path: path.Join(n.Path, e.Name()), Use: Hooks, Why: n.Why, Top: n.Top}
		if e.Type()&fs.ModeSymlink != 0 {
			each.Link = each.Path
		}
		if slices.Contains(hooks, e.Name()) && !e.IsDir() {
			if err := g.name(each); err != nil {
				return err
			}
		}
	}
	return nil
}

// add has something read-only, unless what it lies in is.
func (g *guards) add(name, top string) {
	for above := name; above != "."; above = path.Dir(above) {
		if g.have[above] {
			return
		}
	}
	g.hold(name, top)
	g.have[name] = true
	g.list = slices.DeleteFunc(g.list, func(held sandbox.Guard) bool { return held.Path == name })
	g.list = append(g.list, sandbox.Guard{Path: name, ReadOnly: true})
}

// hold keeps what is above something in place, up to a folder.
func (g *guards) hold(name, top string) {
	for above := path.Dir(name); above != "." && above != top; above = path.Dir(above) {
		if _, known := g.have[above]; !known {
			g.have[above] = false
			g.list = append(g.list, sandbox.Guard{Path: above})
		}
	}
}
