package rules

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// printers are the only files that print errors: what goes through them cannot be without
// a hint (cli: TestReport, TestRefusals; fault/advice: TestEveryKind).
var printers = []string{"cli/report.go", "cmd/nacre-assistant/main.go", "cmd/nacre-attack/main.go"}

// TestErrorsHaveHints: who prints an error prints what to do about it too.
func TestErrorsHaveHints(t *testing.T) {
	found := []string{}
	for name, p := range tree(t) {
		if places[name].layer == beside {
			continue
		}
		for _, f := range p.source() {
			for _, d := range f.syntax.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && says(fn, "error:") {
					found = append(found, f.path)
					if !says(fn, "hint:") {
						t.Errorf("%s: %s prints an error without a hint", f.set.Position(fn.Pos()), fn.Name.Name)
					}
				}
			}
		}
	}
	for _, path := range found {
		if !slices.Contains(printers, path) {
			t.Errorf("%s prints errors: return them, cli/report.go prints them", path)
		}
	}
	if !slices.Contains(found, "cli/report.go") {
		t.Error("cli/report.go prints no errors: looking in the wrong place")
	}
}

// says tells whether a text of a function begins a line with a word.
func says(fn *ast.FuncDecl, word string) (found bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			found = found || err == nil && strings.Contains("\n"+text, "\n"+word)
		}
		return true
	})
	return found
}
