package rules

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Of each fuzz target a few small inputs are kept.
const (
	leastInputs = 3
	mostInput   = 8 << 10 // bytes
)

// TestFuzzTargetsAreListed: CONTRIBUTING.md says which parser of hostile input has
// which fuzz target, each has inputs to begin with, and no inputs are left of one that
// is gone.
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
	targets := map[string]bool{}
	for dir, p := range tree(t) {
		for _, f := range p.files {
			for name := range f.functions() {
				if !strings.HasPrefix(name, "Fuzz") || !f.test {
					continue
				}
				if !listed[name] {
					t.Errorf("%s of %s is not in the table of CONTRIBUTING.md", name, f.path)
				}
				targets[filepath.Join(dir, "testdata/fuzz", name)] = true
			}
		}
	}
	if len(targets) < 80 {
		t.Errorf("only %d targets", len(targets))
	}
	for _, problem := range corpora(os.DirFS(root), targets) {
		t.Error(problem)
	}
}

// corpora says what is wrong with the inputs that are kept for targets.
func corpora(tree fs.FS, targets map[string]bool) (problems []string) {
	kept := map[string]int{}
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		folder := filepath.Dir(name)
		if err == nil && e.IsDir() && len(name) > 1 && e.Name()[0] == '.' {
			return fs.SkipDir // git's
		}
		if err != nil || e.IsDir() || filepath.Base(filepath.Dir(folder)) != "fuzz" || !strings.Contains(folder, "testdata/fuzz/") {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		switch {
		case err != nil:
			return err
		case !targets[folder]:
			problems = append(problems, name+" is for a target that is not there")
		case len(text) > mostInput:
			problems = append(problems, fmt.Sprintf("%s has %d bytes: keep small ones", name, len(text)))
		case strings.HasPrefix(string(text), "go test fuzz v1\n"):
			kept[folder]++
		}
		return nil
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	for folder := range targets {
		if kept[folder] < leastInputs {
			problems = append(problems, fmt.Sprintf("%s has %d inputs, of at least %d: make fuzz finds some", folder, kept[folder], leastInputs))
		}
	}
	return problems
}

// TestCorporaRule: too few inputs, large ones, strange ones and those of nobody are told.
func TestCorporaRule(t *testing.T) {
	const good = "go test fuzz v1\nstring(\"x\")\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string // empty: nothing is wrong
	}{
		"enough":  {map[string]string{"a/testdata/fuzz/FuzzA/1": good, "a/testdata/fuzz/FuzzA/2": good, "a/testdata/fuzz/FuzzA/3": good, "a/testdata/other/FuzzA/4": good}, ""},
		"none":    {nil, "has 0 inputs"},
		"too few": {map[string]string{"a/testdata/fuzz/FuzzA/1": good, "a/testdata/fuzz/FuzzA/2": good, "a/testdata/fuzz/FuzzA/3": "seed"}, "has 2 inputs"},
		"large": {map[string]string{"a/testdata/fuzz/FuzzA/1": good, "a/testdata/fuzz/FuzzA/2": good, "a/testdata/fuzz/FuzzA/3": good,
			"a/testdata/fuzz/FuzzA/4": good + strings.Repeat("#", mostInput)}, "keep small ones"},
		"left": {map[string]string{"a/testdata/fuzz/FuzzA/1": good, "a/testdata/fuzz/FuzzA/2": good, "a/testdata/fuzz/FuzzA/3": good, "testdata/fuzz/FuzzB/1": good}, "not there"},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			file = filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := strings.Join(corpora(os.DirFS(dir), map[string]bool{"a/testdata/fuzz/FuzzA": true}), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
