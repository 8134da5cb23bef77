// Command types checks the types of a module's packages, and of all that they need, for
// an architecture, without compiling any: what only builds on one architecture is found
// in seconds, also where the libraries take minutes to compile.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	folder, arch := flag.String("C", ".", "the module's folder"), flag.String("arch", "arm64", "the architecture")
	flag.Parse()
	found, err := check(*folder, *arch)
	for _, e := range found {
		fmt.Fprintln(os.Stderr, e)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || len(found) > 0 {
		os.Exit(1)
	}
}

// pkg is a package as go list describes it.
type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Module          *struct {
		Main    bool
		Replace *struct{ Path string }
	}
}

// own tells whether it is of this tree.
func (p pkg) own() bool { return p.Module != nil && (p.Module.Main || p.Module.Replace != nil) }

// check returns what is wrong with the types of a module.
func check(folder, arch string) (found []error, err error) {
	list := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Module", "./...")
	list.Dir, list.Stderr = folder, os.Stderr
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off")
	out, err := list.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := list.Start(); err != nil {
		return nil, err
	}
	k := known{"unsafe": types.Unsafe}
	for packages := json.NewDecoder(out); ; { // each after those that it imports
		var p pkg
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return found, list.Wait()
		} else if err != nil {
			return found, errors.Join(err, list.Wait())
		}
		found = append(found, k.check(p, arch)...)
	}
}

// known are the packages that are checked, by their paths.
type known map[string]*types.Package

// check checks one more; in those of others, only what can be seen from outside.
func (k known) check(p pkg, arch string) (found []error) {
	if k[p.ImportPath] != nil {
		return nil
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return []error{err}
		}
		files = append(files, f)
	}
	config := types.Config{Importer: importer{k, p.ImportMap}, IgnoreFuncBodies: !p.own(), Sizes: types.SizesFor("gc", arch),
		Error: func(err error) { found = append(found, err) }}
	k[p.ImportPath], _ = config.Check(p.ImportPath, set, files, nil) // its errors are found
	return found
}

// importer finds what one package imports.
type importer struct {
	known
	renamed map[string]string
}

func (i importer) Import(path string) (*types.Package, error) {
	if name, is := i.renamed[path]; is {
		path = name
	}
	if p := i.known[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("there is no package %s", path)
}
