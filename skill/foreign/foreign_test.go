package foreign

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"nacre/skill"
)

func TestConvert(t *testing.T) {
	for name, c := range map[string]struct {
		folder, text string
		name, says   string // the skill's
		body         string
		notes        []string
	}{
		"strict":      {"greet", "---\nname: greet\ndescription: Greets.\nlicense: MIT\n---\nHello.\n", "greet", "Greets.", "Hello.\n", nil},
		"Claude Code": {"greet", "---\nname: greet\ndescription: Greets.\nallowed-tools: [Bash, Read]\nhooks: {Stop: x}\nmodel: opus\n---\nHello.\n", "greet", "Greets.", "Hello.\n", []string{`"allowed-tools" (nothing is allowed`, `"hooks" (nothing of it is run`, `"model"`}},
		"OpenClaw":    {"weather", "---\nname: weather\ndescription: Tells.\nhomepage: https://wttr.in\nmetadata: {\"openclaw\":{\"requires\":{\"bins\":[\"curl\"]}}}\n---\nx", "weather", "Tells.", "x", []string{`"homepage"`, `"metadata" (it is for another`}},
		"not YAML":    {"greet", "---\nname: greet\ndescription: Use when: somebody comes in\nversion: 1\n---\nHello.", "greet", "Use when: somebody comes in", "Hello.", []string{"read line by line", `"version"`}},
		"other name":  {"My_Skill", "---\nname: My Skill\ndescription: x\n---\n", "my-skill", "x", "", []string{`called "My Skill" there`}},
		"no front":    {"greet", "# Greet\n\nHello.\n", "greet", "Greet", "# Greet\n\nHello.\n", []string{"no front matter", "no description"}},
		"no end":      {"greet", "---\nname: greet\n", "greet", "---", "---\nname: greet\n", []string{"does not end"}},
		"long":        {"greet", "---\nname: greet\ndescription: " + strings.Repeat("a ", 2000) + "\n---\n", "greet", "a a", "", []string{"cut to 1024"}},
		"lines":       {"greet", "\ufeff---\r\nname: greet\r\ndescription: |\r\n  one\r\n  two\r\n---\r\nHello.\r\n", "greet", "one two", "Hello.\n", nil},
		"aliases":     {"greet", "---\nname: &a greet\ndescription: *a\n---\n", "greet", "Greet", "", []string{}},
	} {
		got, main, notes, err := Convert([]byte(c.text), c.folder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, err := skill.Read(fstest.MapFS{skill.Main: {Data: main}})
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, main)
			continue
		}
		if name != "aliases" && (got != c.name || s.Name != c.name || !strings.HasPrefix(s.Description, c.says) || s.Body != c.body) {
			t.Errorf("%s: %s, %q, %q", name, got, s.Description, s.Body)
		}
		for _, want := range c.notes {
			if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
				t.Errorf("%s: %q is not in %q", name, want, notes)
			}
		}
		if c.notes == nil && len(notes) > 0 {
			t.Errorf("%s: %q", name, notes)
		}
	}
	for _, folder := range []string{"", "..", "---", strings.Repeat("a", 65)} {
		if _, _, _, err := Convert([]byte("x"), folder); err == nil {
			t.Errorf("the folder %q was accepted", folder)
		}
	}
}

func TestFind(t *testing.T) {
	files := fstest.MapFS{"skills/a/SKILL.md": {}, "skills/b/SKILL.md": {}, "skills/b/sub/x": {}, ".git/c/SKILL.md": {}, "node_modules/d/SKILL.md": {}, "a/b/c/d/e/SKILL.md": {}}
	found, err := Find(files)
	if err != nil || !slices.Equal(found, []string{"skills/a", "skills/b"}) {
		t.Errorf("%v, %v", found, err)
	}
	files["SKILL.md"] = &fstest.MapFile{}
	if found, err := Find(files); err != nil || !slices.Equal(found, []string{"."}) {
		t.Errorf("%v, %v", found, err)
	}
}

func TestLeave(t *testing.T) {
	for name, out := range map[string]bool{"references/a.md": false, "scripts/run.sh": false, "hooks": true, "hooks/x": false, ".mcp.json": true, "CLAUDE.md": true,
		"capabilities.yaml": true, "Tool.yml": true, "sub/tool.yaml": false, ".claude-plugin": true, ".vscode": true, "package.json": false} {
		if got := Leave(name) != ""; got != out {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzConvert(f *testing.F) {
	for _, s := range []string{"---\nname: a\ndescription: b\n---\nx", "---\na: &a [*a]\n---", "---\n- x\n---\n", "# x", "---\ndescription: \"\\u202e\"\n---\n",
		"---\ndescription: \"\\e[31m\"\nlicense: \"\\0\"\n---\n", "\x1b\n", "\u0085x"} {
		f.Add([]byte(s), "greet")
	}
	f.Fuzz(func(t *testing.T, text []byte, folder string) {
		name, main, _, err := Convert(text, folder)
		if err != nil || len(main) > skill.MaxMain {
			return
		}
		s, err := skill.Read(fstest.MapFS{skill.Main: {Data: main}})
		if err != nil || s.Name != name {
			t.Fatalf("%v: %q", err, main)
		}
	})
}
