package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFuzzTargetsAreListed: CONTRIBUTING.md says which parser of hostile input
// has which fuzz target, and each has something to begin with.
func TestFuzzTargetsAreListed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Parsers of hostile input")
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string]bool{}
	for _, name := range regexp.MustCompile(`Fuzz\w+`).FindAllString(table, -1) {
		listed[name] = true
	}
	found := 0
	for dir, p := range tree(t) {
		for _, f := range p.files {
			for name := range f.functions() {
				if !strings.HasPrefix(name, "Fuzz") || !f.test {
					continue
				}
				found++
				if !listed[name] {
					t.Errorf("%s of %s is not in the table of CONTRIBUTING.md", name, f.path)
				}
				corpus, _ := filepath.Glob(filepath.Join(root, dir, "testdata/fuzz", name, "*"))
				if content, err := os.ReadFile(filepath.Join(root, f.path)); len(corpus) == 0 && (err != nil || !strings.Contains(string(content), "f.Add(")) {
					t.Errorf("%s of %s has no corpus", name, f.path)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d targets", found)
	}
}
