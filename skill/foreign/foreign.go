// Package foreign reads skills as other assistants have them, which is more
// loosely than the format says, and says them as the format does. What only
// such an assistant obeys is left out, and each such thing is named: a skill
// that was imported is knowledge, and nothing else.
package foreign

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"nacre/fault"
	"nacre/pattern"
	"nacre/remedy"
	"nacre/settings"
	"nacre/skill"
)

// maxDepth is how deep skills are looked for: .claude/skills/NAME, and one more.
const maxDepth = 4

// maxSkills is the most that one folder may hold.
const maxSkills = 200

// Find lists the folders with a SKILL.md in a folder, itself or below.
func Find(folder fs.FS) (found []string, err error) {
	err = fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fs.SkipDir
		case err != nil:
			return err
		case d.IsDir() && (strings.Count(name, "/") >= maxDepth || d.Name() == ".git" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.Name() == skill.Main && d.Type().IsRegular():
			found = append(found, path.Dir(name))
			if len(found) > maxSkills {
				return fault.New(fault.Invalid, "it holds more than %d skills", maxSkills)
			}
		}
		return nil
	})
	if slices.Contains(found, ".") {
		return []string{"."}, err
	}
	return found, err
}

// Leave says why a file or folder of a skill is left out; empty: it is not. The
// path is in the skill's folder.
func Leave(name string) string {
	base := strings.ToLower(path.Base(name))
	switch {
	case slices.Contains([]string{"capabilities.yaml", "tool.yaml", "harness.yaml", "channel.yaml", "capabilities.yml", "tool.yml", "harness.yml", "channel.yml",
		"skill.minisig"}, strings.ToLower(name)):
		return "what makes more of a skill than knowledge: nacre skill add takes it"
	case slices.Contains([]string{"hooks", "hooks.json", ".claude-plugin", "plugin.json", "gemini-extension.json", "openclaw.plugin.json"}, base):
		return "hooks and plug-ins, which run outside of what an agent decides"
	case slices.Contains(settings.All(), base):
		return "settings that agents, editors or git obey"
	case slices.Contains([]string{"node_modules", "__pycache__", ".venv", ".ds_store"}, base):
		return "what programs have left or installed"
	}
	return ""
}

// Convert says a SKILL.md strictly. The name is the folder's, as far as it can be one.
func Convert(text []byte, folder string) (name string, main []byte, notes []string, err error) {
	if !utf8.Valid(text) || strings.ContainsRune(string(text), 0) {
		return "", nil, nil, fault.New(fault.Invalid, "%s: expected UTF-8 text", skill.Main)
	}
	c := converter{text: map[string]string{}}
	body := c.split(strings.ReplaceAll(strings.TrimPrefix(string(text), "\ufeff"), "\r\n", "\n"))
	if name = nameOf(folder); skill.CheckName(name) != nil {
		return "", nil, nil, fault.New(fault.Invalid, "the folder's name %.80q cannot be a skill's", folder)
	}
	if said := c.text["name"]; said != name {
		c.note("it is called %q there, and %s here: by its folder", said, name)
	}
	for _, key := range taken {
		c.plain(key)
	}
	description := c.cut("description", 1024)
	if description == "" {
		c.text["description"] = firstLine(body, name)
		c.plain("description")
		description = cmp.Or(c.cut("description", 200), name)
		c.note("it has no description: its first line stands for one")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\nname: %s\ndescription: %s\n", remedy.Quote(name), remedy.Quote(description))
	if s := c.text["license"]; s != "" {
		fmt.Fprintf(&b, "license: %s\n", remedy.Quote(s))
	}
	if s := c.cut("compatibility", 500); s != "" {
		fmt.Fprintf(&b, "compatibility: %s\n", remedy.Quote(s))
	}
	b.WriteString("---\n" + body)
	return name, []byte(b.String()), c.notes, nil
}

type converter struct {
	text  map[string]string
	notes []string
}

func (c *converter) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// taken are the keys that are carried over.
var taken = []string{"name", "description", "license", "compatibility"}

// split reads the front matter, where there is one, and returns the rest.
func (c *converter) split(text string) (body string) {
	rest, ok := strings.CutPrefix(text, "---\n")
	if !ok {
		c.note("it has no front matter")
		return text
	}
	front, body, ok := strings.Cut("\n"+rest, "\n---")
	if !ok {
		c.note("its front matter does not end")
		return text
	}
	_, body, _ = strings.Cut(body, "\n") // the rest of the line of ---
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(front), &n); err != nil || len(n.Content) == 0 || n.Content[0].Kind != yaml.MappingNode {
		c.note("its front matter is not valid YAML: it was read line by line")
		c.lines(front)
		return body
	}
	for i := 0; i+1 < len(n.Content[0].Content); i += 2 {
		key, value := n.Content[0].Content[i], n.Content[0].Content[i+1]
		if slices.Contains(taken, key.Value) && value.Kind == yaml.ScalarNode {
			c.text[key.Value] = strings.TrimSpace(value.Value)
			continue
		}
		c.leave(key.Value)
	}
	return body
}

var line = pattern.Of(`^([A-Za-z][A-Za-z-]*):[ \t]*(.*)$`)

func (c *converter) lines(front string) {
	for _, l := range strings.Split(front, "\n") {
		m := line().FindStringSubmatch(l)
		switch {
		case m == nil:
		case slices.Contains(taken, m[1]):
			c.text[m[1]] = strings.Trim(strings.TrimSpace(m[2]), `"'`)
		default:
			c.leave(m[1])
		}
	}
}

func (c *converter) leave(key string) {
	why := map[string]string{"allowed-tools": "nothing is allowed by it here", "hooks": "nothing of it is run", "metadata": "it is for another program",
		"mcp": "nothing of it is started", "mcpServers": "nothing of it is started"}[key]
	if why == "" {
		why = "no key of the format"
	}
	c.note("left out: %.60q (%s)", key, why)
}

// plain takes out of a text what steers a terminal.
func (c *converter) plain(key string) {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, c.text[key])
	if plain != c.text[key] {
		c.note("its %s has control characters, which are left out", key)
		c.text[key] = plain
	}
}

// cut is a text of at most so many characters, on one line.
func (c *converter) cut(key string, most int) string {
	s := strings.Join(strings.Fields(c.text[key]), " ")
	if runes := []rune(s); len(runes) > most {
		c.note("its %s is cut to %d characters", key, most)
		s = strings.TrimSpace(string(runes[:most]))
	}
	return s
}

// nameOf makes a skill's name of a folder's.
func nameOf(folder string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(folder) {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	return strings.Join(strings.FieldsFunc(b.String(), func(r rune) bool { return r == '-' }), "-")
}

// firstLine is the first line of a text that says something.
func firstLine(body, name string) string {
	for _, l := range strings.Split(body, "\n") {
		if l = strings.TrimSpace(strings.TrimLeft(l, "#")); l != "" {
			return string([]rune(l)[:min(200, utf8.RuneCountInString(l))])
		}
	}
	return name
}
