package gitconfig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// texts are configurations, and what they say in the form of git config --list.
var texts = map[string][]string{
	"":                                                                  nil,
	"[core]\n\thooksPath = hooks\n":                                     {"core.hookspath=hooks"},
	"[CORE] HooksPath=a # of ours\n":                                    {"core.hookspath=a"},
	"[core]hooksPath = a ; b\n":                                         {"core.hookspath=a"},
	"[core]\nhooksPath = \"a # b\" ; c\n":                               {"core.hookspath=a # b"},
	"[core]\nhooksPath = a\\\nb\n":                                      {"core.hookspath=ab"},
	"[core]\nhooksPath = \"a\\\\b\\\"c\"\n":                             {`core.hookspath=a\b"c`},
	"[core]\nhooksPath =   a b\t \n":                                    {"core.hookspath=a b"},
	"[core]\nhooksPath = \"a b \" \n":                                   {"core.hookspath=a b "},
	"[core]\nhooksPath = a\" b\"c\n":                                    {"core.hookspath=a bc"},
	"[core]\r\n\thooksPath = a\r\n":                                     {"core.hookspath=a"},
	"\xef\xbb\xbf[core]\nbare\n":                                        {"core.bare="},
	"[filter \"x]\\\"y\"]\nclean = c\n":                                 {`filter.x]"y.clean=c`},
	"[filter \"Ab\"]\nclean = c\n[a.B]\nc = d\n":                        {"filter.Ab.clean=c", "a.b.c=d"},
	"[include]\npath = x\n[includeIf \"gitdir:~/w/\"]\npath = y\n":      {"include.path=x", "includeif.gitdir:~/w/.path=y"},
	"# [a]\n; [b]\n[core]\n# hooksPath = x\nhooksPath = \"\"\n":         {"core.hookspath="},
	"[core]\nhooksPath = a\\tb\\nc\n":                                   {"core.hookspath=a\tb\nc"},
	"[core]\n  hooksPath\t=\ta\n[core]\nhooksPath = b":                  {"core.hookspath=a", "core.hookspath=b"},
	"[alias]\nx = \"!f() { ./a \\\"$1\\\"; }; f\"\n":                    {`alias.x=!f() { ./a "$1"; }; f`},
	"[core] # here\n hooksPath = a\n":                                   {"core.hookspath=a"},
	"[core]\nhooksPath = a \\\n  b\n":                                   {"core.hookspath=a   b"},
	"[remote \"origin\"] url = u\nfetch = +refs/heads/*:refs/remotes/*": {"remote.origin.url=u", "remote.origin.fetch=+refs/heads/*:refs/remotes/*"},
}

func listed(vars []Variable) (list []string) {
	for _, v := range vars {
		name := v.Section + "." + v.Name
		if v.Subsection != "" {
			name = v.Section + "." + v.Subsection + "." + v.Name
		}
		list = append(list, name+"="+v.Value)
	}
	return list
}

// TestParse: what git reads in a configuration is what is read here; git is asked too.
func TestParse(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Log("needs git to compare with; the table alone is looked at")
	}
	for text, want := range texts {
		// What git spells in a subsection's letters, [a.B] has in lower case.
		got := listed(Parse(text))
		for i := range got {
			got[i] = strings.Replace(got[i], "a.B.", "a.b.", 1)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if git == "" {
			continue
		}
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(git, "config", "--file", file, "--no-includes", "--list", "-z").Output()
		if err != nil {
			t.Errorf("%q: git says %v", text, err)
		}
		var theirs []string
		for _, one := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if name, value, _ := strings.Cut(one, "\n"); name != "" {
				theirs = append(theirs, name+"="+value)
			}
		}
		if !slices.Equal(theirs, want) {
			t.Errorf("%q: git reads %q, want %q", text, theirs, want)
		}
	}
}

// FuzzGitConfig: whatever is there, what is written in git's way behind it is read, nothing
// is read that is not there, and names are such as git has.
func FuzzGitConfig(f *testing.F) {
	for text := range texts {
		f.Add(text, "tools/hooks")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		vars := Parse(text)
		size := 0
		for _, v := range vars {
			size += len(v.Name) + len(v.Value)
			if v.Name == "" || strings.Trim(v.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.ToLower(v.Section) != v.Section {
				t.Fatalf("%+v", v)
			}
			if n := len(v.paths("/home/x")); n > 3*len(v.Value)+3 {
				t.Fatalf("%d paths of %d bytes", n, len(v.Value))
			}
		}
		if size > 3*len(text) {
			t.Fatalf("%d bytes out of %d", size, len(text))
		}
		if strings.ContainsAny(value, "\x00\r") {
			return
		}
		whole := Parse(fmt.Sprintf("%s\n\"\n[core]\n[core]\n\thooksPath = %s\n", text, quote(value)))
		if len(whole) == 0 || whole[len(whole)-1] != (Variable{"core", "", "hookspath", value}) {
			t.Fatalf("%q is read as %+v", value, whole)
		}
	})
}

// quote writes a value as git does.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\b", `\b`).Replace(value) + `"`
}
