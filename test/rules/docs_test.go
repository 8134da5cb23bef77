package rules

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nacre/test/programs"
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence    = regexp.MustCompile("(?m)^[ \t]*(```|~~~)")
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	testName = regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w*`)
	notWord  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// documents are the tree's Markdown files by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	walk(t, ".md", func(name string, content []byte) { docs[name] = string(content) })
	if len(docs) < 5 {
		t.Fatalf("found only %d documents", len(docs))
	}
	return docs
}

// prose is a document without its code blocks; code the lines in these.
func split(text string) (prose string, code []string) {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		switch {
		case fence.MatchString(line):
			inside = !inside
		case inside:
			code = append(code, strings.TrimSpace(line))
		default:
			out.WriteString(line)
		}
	}
	return out.String(), code
}

// TestLinks: every relative link leads to a file of the tree, and to a heading
// of it where it names one.
func TestLinks(t *testing.T) {
	docs := documents(t)
	for name, text := range docs {
		prose, _ := split(text)
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(docs[to]), anchor) {
				t.Errorf("%s: %s has no heading for #%s", name, to, anchor)
			}
		}
	}
}

func anchors(text string) (names []string) {
	prose, _ := split(text)
	for _, m := range heading.FindAllStringSubmatch(prose, -1) {
		plain := notWord.ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(plain, " ", "-"))
	}
	return names
}

// TestNamedTests: a document that says which test proves something names a
// test that exists.
func TestNamedTests(t *testing.T) {
	exists := map[string]bool{}
	for _, p := range tree(t) {
		for _, f := range p.files {
			for name := range f.functions() {
				exists[name] = true
			}
		}
	}
	named := 0
	for name, text := range documents(t) {
		for _, test := range testName.FindAllString(text, -1) {
			if named++; !exists[test] {
				t.Errorf("%s names %s, which does not exist", name, test)
			}
		}
	}
	if named < 20 {
		t.Errorf("the documents name only %d tests: claims are to be proven", named)
	}
}

// TestNamedProbes: a document that names a probe of the attack kit names one
// that exists.
func TestNamedProbes(t *testing.T) {
	bin, remove, err := programs.Dir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	out, err := exec.Command(filepath.Join(bin, "nacre-attack"), "--list-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var probes []struct{ ID string }
	if err := json.Unmarshal(out, &probes); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((descriptors|kernel|others|network|exhaustion|afterwards|information|egress)\\.[a-z0-9*-]+)`")
	for name, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			known := slices.ContainsFunc(probes, func(p struct{ ID string }) bool {
				ok, _ := path.Match(m[1], p.ID)
				return ok
			})
			if !known {
				t.Errorf("%s names the probe %s, which does not exist", name, m[1])
			}
		}
	}
}

// TestMakeTargets: every make target that a document tells people to use is
// there.
func TestMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for name, text := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				t.Errorf("%s: there is no make target %q", name, m[1])
			}
		}
	}
}

// TestCommands: every nacre command line in the documents parses: the command
// exists, and so do its flags. Commands that are to come are not shown.
func TestCommands(t *testing.T) {
	bin, remove, err := programs.Dir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	seen := 0
	for name, text := range documents(t) {
		for _, line := range commandLines(text) {
			seen++
			if problem := parses(filepath.Join(bin, "nacre"), line); problem != "" {
				t.Errorf("%s: %s\n\t%s", name, line, problem)
			}
		}
	}
	if seen == 0 {
		t.Error("the documents show no command")
	}
}

var inline = regexp.MustCompile("`((?:bin/)?nacre [a-z][^`]*)`")

// commandLines finds nacre's command lines: in code blocks, and in back quotes
// in the prose.
func commandLines(text string) (lines []string) {
	prose, code := split(text)
	for _, m := range inline.FindAllStringSubmatch(prose, -1) {
		lines = append(lines, m[1])
	}
	joined := strings.ReplaceAll(strings.Join(code, "\n"), "\\\n", " ")
	for line := range strings.Lines(joined) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if strings.HasPrefix(line, "nacre ") || strings.HasPrefix(line, "bin/nacre ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// parses asks the command for help with the same arguments: it answers with an
// error where a command or flag does not exist, and with the usage of the
// command that it found.
func parses(nacre, line string) (problem string) {
	args := words(line)[1:]
	out, err := exec.Command(nacre, append([]string{"--help=true"}, args...)...).CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(out))
	}
	if path := commandPath(args); !strings.Contains(string(out), path) {
		return "there is no command " + path
	}
	return ""
}

// commandPath is the command and, for commands that have further ones below
// them, the word after it.
func commandPath(args []string) string {
	families := []string{"policy", "secret", "audit", "completion"}
	path := "nacre " + args[0]
	if len(args) > 1 && slices.Contains(families, args[0]) && !strings.HasPrefix(args[1], "-") {
		path += " " + args[1]
	}
	return path
}

// words splits a command line as a shell would, as far as documents go: quotes
// hold together, a comment and redirections end it.
func words(line string) (list []string) {
	var word strings.Builder
	var quote rune
	started := false
	flush := func() {
		if started {
			list = append(list, word.String())
		}
		word.Reset()
		started = false
	}
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started = r, true
		case r == '#' && !started, r == '|', r == '>', r == ';', r == '&':
			flush()
			return list
		case r == ' ' || r == '\t':
			flush()
		default:
			word.WriteRune(r)
			started = true
		}
	}
	return list
}

// TestArchitectureNamesPackages: the table of docs/ARCHITECTURE.md has every
// package that is not beside the product, and says rightly whether it is of the
// trusted core.
func TestArchitectureNamesPackages(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|[^|]+\\| (yes|no) \\|$")
	name := regexp.MustCompile("`([^`]+)`")
	shown := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(documents(t)["docs/ARCHITECTURE.md"], -1) {
		for _, p := range name.FindAllStringSubmatch(m[1], -1) {
			folder := p[1]
			if folder == module {
				folder = "."
			}
			shown[folder] = true
			where, ok := places[folder]
			if !ok {
				t.Errorf("docs/ARCHITECTURE.md explains %s, which is not there", p[1])
			} else if trusted(folder) != (m[2] == "yes") {
				t.Errorf("docs/ARCHITECTURE.md: is %s of the trusted core? it says %s; layer %d, ceiling %d", p[1], m[2], where.layer, where.ceiling)
			}
		}
	}
	for folder, where := range places {
		if where.layer != beside && !shown[folder] {
			t.Errorf("docs/ARCHITECTURE.md does not explain %s", folder)
		}
	}
}
