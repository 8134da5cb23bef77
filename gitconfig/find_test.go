package gitconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/sandbox"
)

// place is a folder with a home beside it, both without links in their paths. A content
// that begins with -> makes a link; FOLDER in one is the folder's path.
type place struct {
	t            testing.TB
	home, folder string
}

func newPlace(t testing.TB, files map[string]string) place {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := place{t, dir + "/home", dir + "/project"}
	t.Setenv("HOME", p.home)
	for _, name := range []string{"XDG_CONFIG_HOME", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL"} {
		t.Setenv(name, "")
	}
	for _, made := range []string{p.home, p.folder} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		p.write(name, content)
	}
	return p
}

// path is in the folder, or in the home where it begins with ~, or above both with ^.
func (p place) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return p.home + "/" + rest
	}
	if rest, ok := strings.CutPrefix(name, "^/"); ok {
		return filepath.Dir(p.folder) + "/" + rest
	}
	return p.folder + "/" + name
}

func (p place) write(name, content string) {
	p.t.Helper()
	name, content = p.path(name), strings.ReplaceAll(content, "FOLDER", p.folder)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if target, link := strings.CutPrefix(content, "->"); link && err == nil {
		err = os.Symlink(target, name)
	} else if err == nil {
		err = os.WriteFile(name, []byte(content), 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// guards are those that are added to what a scan would find by name.
func (p place) guards() ([]string, error) {
	var found sandbox.Findings
	err := filepath.WalkDir(p.folder, func(name string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(p.folder, name)
		switch base := filepath.Base(name); {
		case base == ".git":
			found.Guards = append(found.Guards, sandbox.Guard{Path: rel, ReadOnly: !e.IsDir()})
		case base == "config" && strings.Contains(rel, ".git/"), base == "hooks" && strings.HasSuffix(rel, ".git/hooks"):
			found.Guards = append(found.Guards, sandbox.Guard{Path: rel, ReadOnly: true})
		case base == ".env":
			found.Masks = append(found.Masks, rel)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	list, err := Guards(p.folder, found)
	var lines []string
	for _, g := range list {
		line := g.Path
		if !g.ReadOnly {
			line += " held"
		}
		lines = append(lines, line)
	}
	return lines, err
}

// TestGuards: what has to be guarded by which configuration, and what not.
func TestGuards(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing": {map[string]string{".git/config": "[core]\n\tbare = false\n", "main": "x"}, nil},
		"hooks": {map[string]string{".git/config": "[core]\nhooksPath = tools/git/hooks\n", "tools/git/hooks/pre-commit": ""},
			[]string{"tools held", "tools/git held", "tools/git/hooks"}},
		"hooks, in one line":       {map[string]string{".git/config": "[core] hooksPath = \"hooks\" ; x", "hooks/x": ""}, []string{"hooks"}},
		"hooks, absolute":          {map[string]string{".git/config": "[core]\nhooksPath = FOLDER/./x/../hooks/\n", "hooks/x": "", "x/y": ""}, []string{"hooks"}},
		"hooks of all":             {map[string]string{"~/.gitconfig": "[core]\nhooksPath = .githooks\n", "a/.git/HEAD": "", "a/.githooks/x": "", ".githooks/x": ""}, []string{"a/.githooks"}},
		"hooks elsewhere":          {map[string]string{".git/config": "[core]\nhooksPath = ~/hooks\n", "~/hooks/x": "", "hooks/x": ""}, nil},
		"hooks, none":              {map[string]string{".git/config": "[core]\nhooksPath = /dev/null\n"}, nil},
		"hooks in the git folder":  {map[string]string{".git/config": "[core]\nhooksPath = .git/hooks\n", ".git/hooks/x": ""}, nil},
		"hooks, missing":           {map[string]string{".git/config": "[core]\nhooksPath = hooks\n"}, nil},
		"hooks among all":          {map[string]string{".git/config": "[core]\nhooksPath = .\n", "pre-commit": "", "main.go": "", ".git/HEAD": ""}, []string{"pre-commit"}},
		"hooks that are granted":   {map[string]string{"^/.git/config": "[core]\nhooksPath = FOLDER\n", "pre-commit": ""}, nil},
		"work tree above":          {map[string]string{"^/.git/config": "[core]\nhooksPath = project/a/hooks\n", "a/hooks/x": ""}, []string{"a held", "a/hooks"}},
		"work tree elsewhere":      {map[string]string{"sub.git/config": "[core]\nworktree = ../tree\nhooksPath = hooks\n", "tree/hooks/x": ""}, []string{"tree/hooks"}},
		"bare":                     {map[string]string{"x.git/config": "[core]\nhooksPath = own\n", "x.git/own/x": ""}, []string{"x.git/own"}},
		"a file that names it":     {map[string]string{"w/.git": "gitdir: ../m/.git/worktrees/w\n", "m/.git/worktrees/w/commondir": "../..\n", "m/.git/config": "[core]\nhooksPath = h\n", "w/h/x": "", "m/h/x": ""}, []string{"m/h", "w/h"}},
		"its own":                  {map[string]string{"w/.git": "gitdir: ^\n", ".git/config": ""}, nil},
		"of a work tree":           {map[string]string{".git/config": "", ".git/config.worktree": "[core]\nhooksPath = h\n", "h/x": ""}, []string{"h"}},
		"submodule":                {map[string]string{".git/modules/a/config": "[core]\nworktree = ../../../a\nhooksPath = h\n", "a/.git": "gitdir: ../.git/modules/a\n", "a/h/x": ""}, []string{".git/modules held", ".git/modules/a held", "a/h"}},
		"template":                 {map[string]string{"~/.gitconfig": "[init]\ntemplateDir = FOLDER/t\n", "t/hooks/x": ""}, []string{"t"}},
		"included":                 {map[string]string{".git/config": "[include]\npath = ../conf/git.inc\n", "conf/git.inc": "[include] path = more.inc", "conf/more.inc": "[core]\nfsmonitor = bin/watch\n", "bin/watch": ""}, []string{"bin held", "bin/watch", "conf held", "conf/git.inc", "conf/more.inc"}},
		"included, if":             {map[string]string{".git/config": "[includeIf \"onbranch:never\"]\npath = ../git.inc\n", "git.inc": "[core]\nhooksPath = h\n", "h/x": ""}, []string{"git.inc", "h"}},
		"included by all":          {map[string]string{"~/.gitconfig": "[includeIf \"hasconfig:remote.*.url:x\"]\npath = FOLDER/git.inc\n", "git.inc": ""}, []string{"git.inc"}},
		"included in circles":      {map[string]string{".git/config": "[include]\npath = ../a.inc\npath = config\n", "a.inc": "[include]\npath = b.inc\npath=.git/config", "b.inc": "[include]\npath = a.inc\npath = a.inc\n"}, []string{"a.inc", "b.inc"}},
		"the owner's own, linked":  {map[string]string{"~/.gitconfig": "->FOLDER/dot/gitconfig", "dot/gitconfig": "[alias]\nx = !FOLDER/bin/x\ny = !cat FOLDER.txt main.c\n", "bin/x": "", "main.c": ""}, []string{"bin held", "bin/x", "dot held", "dot/gitconfig"}},
		"XDG":                      {map[string]string{"~/.config/git/config": "[core]\nattributesFile = FOLDER/attributes\n", "attributes": ""}, []string{"attributes"}},
		"programs":                 {map[string]string{".git/config": "[filter \"a\"]\nclean = python3 tools/clean.py %f\nsmudge = \"'my tools/smudge' --to=out/x\"\nprocess = cat\n[diff \"b\"]\ntextconv = sh text.sh <in\n[gpg]\nprogram = FOLDER/gpg\n", "tools/clean.py": "", "my tools/smudge": "", "text.sh": "", "gpg": "", "cat": "", "out/y": ""}, []string{"gpg", "my tools held", "my tools/smudge", "text.sh", "tools held", "tools/clean.py"}},
		"a command that asks git":  {map[string]string{".git/config": "[filter \"a\"]\nclean = \"$(git rev-parse --show-toplevel)/tools/clean\"\n[credential]\nhelper = \"!f() { ./x; }; f\"\n", "tools/clean": "", "x": ""}, []string{"tools held", "tools/clean", "x"}},
		"home in a command":        {map[string]string{"~/.gitconfig": "[core]\neditor = \"$HOME/../project/ed -w\"\nsshCommand = ssh -F ~/../project/ssh\n", "ed": "", "ssh": ""}, []string{"ed", "ssh"}},
		"data":                     {map[string]string{".git/config": "[remote \"o\"]\nurl = ./main.go\n[branch \"b\"]\nmerge = refs/heads/main.go\n[user]\nname = a/b\nemail = main.go\n[commit]\ntemplate = a/b\n[init]\ndefaultBranch = main\n[blame]\nignoreRevsFile = .revs\n", "main.go": "", "a/b": "", "main": "", ".revs": ""}, nil},
		"a folder is no program":   {map[string]string{".git/config": "[core]\npager = ./src\n", "src/x": ""}, nil},
		"masked":                   {map[string]string{".git/config": "[credential]\nhelper = store --file=./.env\n", ".env": ""}, nil},
		"a link outside, led here": {map[string]string{"^/link": "->project/hooks", ".git/config": "[core]\nhooksPath = ../link\n", "hooks/x": ""}, []string{"hooks"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, c.files)
			got, err := p.guards()
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestGuardsRefused: what cannot be guarded, or looked at whole, refuses the folder.
func TestGuardsRefused(t *testing.T) {
	many := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, line, i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		kind  fault.Kind
		files map[string]string
	}{
		"a link":                {fault.Denied, map[string]string{".git/config": "[core]\nhooksPath = hooks\n", "hooks": "->tools", "tools/x": ""}},
		"a link on the way":     {fault.Denied, map[string]string{".git/config": "[core]\nhooksPath = a/hooks\n", "a": "->b", "b/hooks/x": ""}},
		"a link out":            {fault.Denied, map[string]string{".git/config": "[core]\nhooksPath = a/hooks\n", "a": "->../home", "~/hooks/x": ""}},
		"a link to nothing":     {fault.Denied, map[string]string{".git/config": "[include]\npath = ../git.inc\n", "git.inc": "->/nowhere"}},
		"a link to itself":      {fault.Denied, map[string]string{".git/config": "[include]\npath = ../git.inc\n", "git.inc": "->git.inc"}},
		"a link to a device":    {fault.Denied, map[string]string{".git/config": "[core]\nhooksPath = hooks\n", "hooks": "->/dev/null"}},
		"a program's link":      {fault.Denied, map[string]string{".git/config": "[core]\nfsmonitor = ./watch\n", "watch": "->bin/watch", "bin/watch": ""}},
		"a hook among all":      {fault.Denied, map[string]string{".git/config": "[core]\nhooksPath = .\n", "pre-commit": "->main.go", "main.go": ""}},
		"a large configuration": {fault.Exhausted, map[string]string{".git/config": strings.Repeat("#", maxFile+1)}},
		"a large included one":  {fault.Exhausted, map[string]string{".git/config": "[include]\npath=x\n", ".git/x": strings.Repeat("#", maxFile+1)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newPlace(t, c.files).guards()
			if fault.KindOf(err) != c.kind || fault.HintOf(err) == "" && c.kind == fault.Denied {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	p := newPlace(t, map[string]string{".git/config": "[a]\n" + many(10, "b = /%d /b\n")})
	for looks, refused := range map[int]bool{20: true, 1000: false} {
		if _, err := find(p.folder, []string{".git"}, looks); (fault.KindOf(err) == fault.Exhausted) != refused {
			t.Errorf("%d looks: %v", looks, err)
		}
	}
	for i := range maxNames + 1 {
		p.write(fmt.Sprintf("x/%d", i), "")
	}
	p.write(".git/config", "[a]\n"+many(maxNames+1, "b = x/%d\n"))
	if got, err := p.guards(); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("%d guards, %v", len(got), err)
	}
}

// TestHostileConfiguration: what is there neither keeps the look waiting nor is opened.
func TestHostileConfiguration(t *testing.T) {
	p := newPlace(t, map[string]string{".git/config": "[include]\npath = /proc/kmsg\npath = ../pipe\npath = /dev/zero\npath = ~nobody/x\npath = ~no-such-user/x\npath = a\\u0000b\npath=\n[core]\nhooksPath = \"" + strings.Repeat("x/", 5000) + "\"\nhooksPath\n",
		"deep.inc": "", "odd/.git": "gitdir: " + strings.Repeat("../", 3000) + "etc\n", "other/.git": "gitdir: /proc/self\n", "dir/.git/config/x": ""})
	if err := unix.Mkfifo(p.path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := p.guards(); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDearConfiguration: neither long ways to one place, nor one file that is included
// again and again, nor many variables cost more than the bound, which counts each of them.
func TestDearConfiguration(t *testing.T) {
	for name, config := range map[string]string{
		"long ways": "[core]\n" + strings.Repeat("hooksPath = "+strings.Repeat("d/../", 700)+"d\n", 20),
		"one file":  "[include]\n" + strings.Repeat("path = more\n", 5000),
		"many":      "[a]\n" + strings.Repeat("b=c\n", 11_000),
		"too long":  "[core]\n" + strings.Repeat("hooksPath = "+strings.Repeat("d/../", 900)+"d\n", 10), // which the kernel refuses
	} {
		p := newPlace(t, map[string]string{".git/config": config, ".git/more": "", "d/x": ""})
		_, err := find(p.folder, []string{".git"}, 10_000)
		if want := name != "too long"; (fault.KindOf(err) == fault.Exhausted) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
