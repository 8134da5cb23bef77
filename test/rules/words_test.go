package rules

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The hard limits, in lines of code. The aims are in CONTRIBUTING.md.
const (
	maxFile     = 350
	maxFunction = 80
)

// TestPackageComments: every package says what it is.
func TestPackageComments(t *testing.T) {
	for name, p := range tree(t) {
		said := slices.ContainsFunc(p.files, func(f file) bool {
			return f.syntax.Doc != nil && len(strings.Fields(f.syntax.Doc.Text())) > 5
		})
		if !said {
			t.Errorf("%s has no package comment", name)
		}
	}
}

// TestNamesAreDocumented: every exported name of the core is explained where
// it is declared.
func TestNamesAreDocumented(t *testing.T) {
	for name, p := range tree(t) {
		if !trusted(name) {
			continue
		}
		for _, f := range p.source() {
			for _, d := range f.syntax.Decls {
				for _, id := range undocumented(d) {
					t.Errorf("%s: %s is not documented", f.set.Position(id.Pos()), id.Name)
				}
			}
		}
	}
}

// understood are methods whose meaning is that of an interface everybody knows.
var understood = []string{"String", "Error", "Unwrap", "Write", "Read", "Close"}

func undocumented(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && !(d.Recv != nil && slices.Contains(understood, d.Name.Name)) && publicReceiver(d) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				for _, id := range s.Names {
					if id.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						names = append(names, id)
					}
				}
			}
		}
	}
	return names
}

// publicReceiver tells whether a method belongs to an exported type; plain
// functions do.
func publicReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	id, ok := e.(*ast.Ident)
	return !ok || id.IsExported()
}

// TestLengths reports how long files and functions are, and fails over the
// hard limits.
func TestLengths(t *testing.T) {
	var files, functions []int
	for name, p := range tree(t) {
		for _, f := range p.source() {
			files = append(files, f.code)
			if f.code > maxFile {
				t.Errorf("%s has %d lines of code, over %d", f.path, f.code, maxFile)
			}
			for _, d := range f.syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				n := span(f.set, fn)
				functions = append(functions, n)
				if n > maxFunction {
					t.Errorf("%s: %s.%s has %d lines, over %d", f.set.Position(fn.Pos()), name, fn.Name.Name, n, maxFunction)
				}
			}
		}
	}
	slices.Sort(files)
	slices.Sort(functions)
	t.Logf("%d files: median %d lines of code, longest %d (aim: median at most 120)", len(files), files[len(files)/2], files[len(files)-1])
	over := func(limit int) float64 {
		i, _ := slices.BinarySearch(functions, limit+1)
		return 100 * float64(len(functions)-i) / float64(len(functions))
	}
	t.Logf("%d functions: median %d lines, longest %d, %.1f %% over 40 (aim: at most 10 %%), %.1f %% over 60 (aim: at most 4 %%)",
		len(functions), functions[len(functions)/2], functions[len(functions)-1], over(40), over(60))
}

// span is a function's length in lines, as an editor shows it.
func span(set *token.FileSet, fn *ast.FuncDecl) int {
	return set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
}
