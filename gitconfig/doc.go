// Package gitconfig tells which files and folders git runs, or obeys as further
// configuration, because configuration that exists says so: core.hooksPath, what is
// included, the programs of filters, drivers, helpers and aliases. They lie anywhere, also
// in a folder that an agent may write; the engine guards them there as it does .git/hooks
// (package watch), and package traps tells of those that could not be guarded.
//
// git itself is never asked: the configuration may be an agent's of an earlier run. What is
// read is bounded, in size, number and depth; only regular files are opened, and no link is
// followed but by Find's own walk of the path. Where git reads a file in one way only under
// a condition (includeIf), it is read as if the condition held, since an agent may come to
// meet it. Names too many are harmless: they stay as they are for one run.
//
// No list of variables is kept: every value, of whatever name, is searched for paths, but
// for those known to be data. Not found are programs that git finds in PATH, arguments
// without slash and dot, and what programs of git's run by themselves.
package gitconfig

// Use is what git does with what a configuration names. The zero value is no use.
type Use string

// The uses.
const (
	Hooks   Use = "hooks"   // runs what lies in the folder, by name
	Include Use = "include" // reads it as further configuration, which can name programs
	Program Use = "program" // runs it, has it run, or obeys it
)

// Name is one thing that configuration names in a folder.
type Name struct {
	Path    string // relative to the folder, without links; where it lies outside, empty
	Use     Use
	Folder  bool   // it is there, and a folder
	Shared  bool   // that is a work tree or a git folder too, and cannot be held whole
	Missing bool   // it is not there
	Link    string // a link in the folder by which git gets there, empty without
	Why     string // the variable, and the file that it is in
	Top     string // the work tree in the folder that holds it, empty without
}

// The bounds of one look.
const (
	maxFile  = 1 << 20 // bytes of one file
	maxBytes = 64 << 20
	maxDepth = 10      // of includes: git's own bound
	maxLooks = 1 << 20 // variables that are looked at, and names in paths
	maxNames = 1000    // found
	maxLinks = 40      // on the way to one file: the kernel's bound
)
