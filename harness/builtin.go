package harness

import (
	"io/fs"
	"path"

	"nacre/fault"
	"nacre/strict"
)

// BuiltIn are the harnesses of a tree: the names of its folders.
func BuiltIn(tree fs.FS) (names []string) {
	entries, err := fs.ReadDir(tree, "harness")
	if err != nil { // it is part of the program
		panic(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Find reads one of a tree's harnesses.
func Find(tree fs.FS, name string) (*Harness, error) {
	folder, err := fs.Sub(tree, path.Join("harness", name))
	if err == nil {
		_, err = fs.Stat(folder, File)
	}
	if err != nil || name != path.Base(name) {
		known := BuiltIn(tree)
		f := fault.New(fault.NotFound, "there is no harness").WithHint("nacre run --with, without a name, lists them; a folder is written with a slash, such as ./my-agent")
		f.Cause = &strict.Unknown{Word: name, Known: known}
		return nil, f
	}
	return Read(folder)
}
