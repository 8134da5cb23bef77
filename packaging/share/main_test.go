package main

import (
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"nacre/cli"
	"nacre/test/programs"
)

// contents are the files of a folder, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		all[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func unpacked(t *testing.T, text string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestShare: a page for every command that people see and for both files, the
// licence of everything that is linked in, and twice the same bytes.
func TestShare(t *testing.T) {
	programs.Needs(t, "go")
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	o := output{dir: filepath.Join(t.TempDir(), "a"), version: "v7"}
	if err := o.write(); err != nil {
		t.Fatal(err)
	}
	all := contents(t, o.dir)
	o.dir += "gain"
	if err := o.write(); err != nil {
		t.Fatal(err)
	}
	for name, text := range contents(t, o.dir) {
		if all[name] != text {
			t.Errorf("%s is not the same twice", name)
		}
	}
	pages := []string{"man/man5/agent.yaml.5.gz", "man/man5/policy.yaml.5.gz"}
	eachCommand(cli.Root(&cli.App{}), func(cmd *cobra.Command) {
		pages = append(pages, "man/man1/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1.gz")
	})
	for _, name := range pages {
		if page := unpacked(t, all[name]); !strings.Contains(page, ".TH ") || !strings.Contains(page, "Nov 2023") || !strings.Contains(page, "nacre v7") {
			t.Errorf("%s: %.200q", name, page)
		}
		delete(all, name)
	}
	if page := unpacked(t, contents(t, o.dir)["man/man5/policy.yaml.5.gz"]); strings.Contains(page, ".md") || !strings.Contains(page, "limits-watchdog") {
		t.Error("policy.yaml(5) links to files of the tree, or lacks its content")
	}
	for name, want := range map[string]string{"doc/nacre/copyright": "golang.org/x/sys v", "nacre/apparmor/nacre": "userns,", "bash-completion/completions/nacre": "__start_nacre",
		"zsh/site-functions/_nacre": "#compdef nacre", "fish/vendor_completions.d/nacre.fish": "complete -c nacre"} {
		if !strings.Contains(all[name], want) {
			t.Errorf("%s does not say %s", name, want)
		}
		delete(all, name)
	}
	for name := range all {
		t.Errorf("%s is there, and nobody asked for it", name)
	}
}

func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	if cmd.Hidden {
		return
	}
	visit(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, visit)
	}
}

// TestNoDate: without a date nothing is written.
func TestNoDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	o := output{dir: t.TempDir(), date: time.Now()}
	if err := o.write(); err == nil {
		t.Error("the present was taken for a date")
	}
}

// TestLicence: a module that says nothing about its licence stops the build.
func TestLicence(t *testing.T) {
	dir := t.TempDir()
	m := module{"example", dir}
	if text, err := m.texts(); err == nil {
		t.Errorf("found %q", text)
	}
	for _, name := range []string{"LICENSE", "NOTICE.txt", "licence-docs", "unlicensed.go"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("the text of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := m.texts()
	if found := strings.Count(text, "the text of"); err != nil || found != 3 {
		t.Errorf("%q, %v", text, err)
	}
}

// TestParagraphs: what is set in stays as it is, the rest flows.
func TestParagraphs(t *testing.T) {
	got := paragraphs("One\ntwo:\n\n  a   b\n  c\n\nThree\n")
	if want := []string{"One", "two:", "```", "  a   b", "  c", "```", "Three"}; !slices.Equal(strings.FieldsFunc(got, func(r rune) bool { return r == '\n' }), want) {
		t.Errorf("%q", got)
	}
	if got := paragraphs("One\n  a"); strings.Count(got, "```") != 2 {
		t.Errorf("%q", got)
	}
}
