// Package rules holds the tree to its own rules: how large the trusted core
// may grow, what may import what, what must be said about each name, and that
// the documents tell the truth. There is no code here but tests.
package rules

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the tree, seen from this package.
const root = "../.."

// file is one Go file.
type file struct {
	path      string // relative to the root
	test      bool
	generated bool
	syntax    *ast.File
	set       *token.FileSet
	lines     int // all of them
	code      int // those that hold code
}

// pkg is one package of the module: its folder relative to the root, "." for
// the root itself.
type pkg struct {
	path  string
	files []file
}

// source is the files that are compiled into programs and written by hand.
func (p pkg) source() []file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f file) bool { return f.test || f.generated })
}

// functions are the names of a file's functions.
func (f file) functions() map[string]bool {
	names := map[string]bool{}
	for _, d := range f.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
			names[fn.Name.Name] = true
		}
	}
	return names
}

func (p pkg) sum() (code, all int) {
	for _, f := range p.source() {
		code, all = code+f.code, all+f.lines
	}
	return code, all
}

// imports are what the source imports, without what only tests do; generated
// files count here.
func (p pkg) imports() map[string]string {
	found := map[string]string{}
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, i := range f.syntax.Imports {
			found[strings.Trim(i.Path.Value, `"`)] = f.path
		}
	}
	return found
}

// tree reads every Go file of the module.
func tree(t *testing.T) map[string]pkg {
	t.Helper()
	packages := map[string]pkg{}
	walk(t, ".go", func(name string, content []byte) {
		f := read(t, name, content)
		dir := path.Dir(name)
		p := packages[dir]
		p.path, p.files = dir, append(p.files, f)
		packages[dir] = p
	})
	if len(packages) < 10 {
		t.Fatalf("found only %d packages: looking in the wrong place", len(packages))
	}
	return packages
}

// walk visits the tree's own files with an ending.
func walk(t *testing.T, ending string, visit func(name string, content []byte)) {
	t.Helper()
	skipped := []string{".git", "bin", "dist", ".cache", "testdata", "node_modules"}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && slices.Contains(skipped, e.Name()):
			return fs.SkipDir
		case !e.Type().IsRegular() || !strings.HasSuffix(name, ending):
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		visit(rel, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string, content []byte) file {
	t.Helper()
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	// The seams of tests are no part of what there is to read.
	build, _, _ := strings.Cut(string(content), "\n")
	test := strings.HasSuffix(name, "_test.go") || build == "//go:build nacrefault" || build == "//go:build !nacrefault"
	return file{path: name, test: test, generated: ast.IsGenerated(syntax),
		syntax: syntax, set: set, lines: strings.Count(string(content), "\n"), code: codeLines(content)}
}

// codeLines counts the lines that hold at least a part of something that is
// not a comment: no blank lines, no comments.
func codeLines(content []byte) int {
	set := token.NewFileSet()
	f := set.AddFile("", -1, len(content))
	var s scanner.Scanner
	s.Init(f, content, nil, 0)
	lines := map[int]bool{}
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			return len(lines)
		}
		if kind == token.SEMICOLON && text == "\n" {
			continue // put in by the scanner
		}
		first := f.Line(at)
		for i := range strings.Count(text, "\n") + 1 { // a raw string spans several
			lines[first+i] = true
		}
	}
}

func TestCodeLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"nothing", "", 0},
		{"blank and comments", "\n// one\n\n/* two\nthree */\n", 0},
		{"comment after code", "package p // why\n", 1},
		{"code after comment", "/* a\nb */ package p\n", 1},
		{"raw string", "package p\n\nvar s = `a\n\n// b`\n", 4},
	} {
		if got := codeLines([]byte(c.text)); got != c.want {
			t.Errorf("%s: %d lines of code, want %d", c.name, got, c.want)
		}
	}
}
