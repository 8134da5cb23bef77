package part

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"nacre/harness"
	"nacre/skill"
	"nacre/skills"
)

// of is a skill with these files beside its SKILL.md: names and texts in turn.
func of(t *testing.T, pairs ...string) (*skill.Skill, fstest.MapFS) {
	t.Helper()
	files := fstest.MapFS{skill.Main: {Data: []byte("---\nname: greet\ndescription: Greets.\n---\n")}}
	for i := 0; i < len(pairs); i += 2 {
		files[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	s, err := skill.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	return s, files
}

const tool = "version: 1\ncommand: [./serve]\n"

// TestRead: each part is read as its kind's own package reads it.
func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string // empty: it is good
	}{
		"knowledge":             {nil, ""},
		"tool":                  {[]string{"tool.yaml", tool, "serve", "x"}, ""},
		"tool, on the machine":  {[]string{"tool.yaml", "version: 1\ncommand: [python3, -m, x]\n"}, ""},
		"tool, garbage":         {[]string{"tool.yaml", "garbage: ["}, "tool.yaml:"},
		"tool, empty":           {[]string{"tool.yaml", ""}, "the file is empty"},
		"tool, unknown key":     {[]string{"tool.yaml", tool + "comand: x\n", "serve", "x"}, `unknown key: "comand"`},
		"tool, no program":      {[]string{"tool.yaml", tool}, "the skill has no file serve"},
		"tool, above":           {[]string{"tool.yaml", "version: 1\ncommand: [./../serve]\n", "serve", "x"}, "the skill has no file"},
		"tool, twice":           {[]string{"tool.yaml", tool, "serve", "x", "capabilities.yaml", "version: 1\nname: greet\ncommand: [x]\n"}, "tool.yaml says it"},
		"tool, large":           {[]string{"tool.yaml", tool + strings.Repeat("#\n", 40_000), "serve", "x"}, "over 65536 bytes"},
		"channel":               {[]string{"channel.yaml", "version: 1\nprotocol: 1\ncommand: [./serve]\n", "serve", "x"}, ""},
		"channel, garbage":      {[]string{"channel.yaml", "garbage: ["}, "channel.yaml:"},
		"channel, protocol":     {[]string{"channel.yaml", "version: 1\nprotocol: 2\ncommand: [x]\n"}, "channel.yaml:2:11"},
		"channel, no program":   {[]string{"channel.yaml", "version: 1\nprotocol: 1\ncommand: [./serve]\n"}, "the skill has no file serve"},
		"harness":               {[]string{"harness.yaml", "version: 1\nheadless: [\"{prompt}\"]\n"}, ""},
		"harness, garbage":      {[]string{"harness.yaml", "garbage: ["}, "harness.yaml:"},
		"harness, no lock":      {[]string{"harness.yaml", "version: 1\nheadless: [\"{prompt}\"]\nlayers: [{lock: l.json, at: /opt/x}]\n"}, "has no file l.json"},
		"harness, garbage lock": {[]string{"harness.yaml", "version: 1\nheadless: [\"{prompt}\"]\nlayers: [{lock: l.json, at: /opt/x}]\n", "l.json", "{"}, "l.json"},
	} {
		s, files := of(t, c.files...)
		_, err := Read(s, files)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

const lock = `{"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": {"version": "1.2.3", "integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="}}}`

const agent = `version: 1
command: [agent, --safe]
headless: [run, "{prompt}"]
refuses: [a.example.com, b.example.com]
own-sandbox: {off-by: --safe}
layers: [{lock: l.json, at: /opt/x}]
home:
  .agent/settings: "one"
environment: {QUIET: "1"}
`

// TestDiff: whatever changes in how a program is run is told, and what gives more
// comes first.
func TestDiff(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string // of harness.yaml, by what is replaced
		want     string
	}{
		"nothing":     {"", "", ""},
		"order":       {"[a.example.com, b.example.com]", "[b.example.com, a.example.com]", ""},
		"refuses":     {"refuses: [a.example.com, b.example.com]\n", "", "more − refuses a.example.com, more − refuses b.example.com"},
		"one refuses": {"a.example.com, ", "", "more − refuses a.example.com"},
		"refuses too": {"b.example.com]", "b.example.com, c.example.com]", "less + refuses c.example.com"},
		"command":     {"[agent, --safe]", "[other, --safe]", `more + command ["other","--safe"], less − command ["agent","--safe"]`},
		"headless":    {"[run,", "[run, --yes,", `more + headless ["run","--yes","{prompt}"], less − headless ["run","{prompt}"]`},
		"own sandbox": {"own-sandbox: {off-by: --safe}\n", "", "less − own-sandbox off-by --safe"},
		"home":        {"\"one\"", "\"two\"", "more + home .agent/settings two, less − home .agent/settings one"},
		"scripts":     {"at: /opt/x", "at: /opt/x, scripts: [a]", `more + layers {"at":"/opt/x","lock":"l.json","scripts":["a"]}, less − layers {"at":"/opt/x","lock":"l.json"}`},
		"environment": {"{QUIET: \"1\"}", "{LOUD: \"1\"}", "more + environment LOUD 1, less − environment QUIET 1"},
		"long":        {"\"one\"", "\"" + strings.Repeat("x", 500) + "\"", "more + home .agent/settings " + strings.Repeat("x", 200) + "… (500 bytes, c38c2bf3055c), less − home .agent/settings one"},
	} {
		before, err := Read(of(t, "harness.yaml", agent, "l.json", lock))
		if err != nil {
			t.Fatal(err)
		}
		after, err := Read(of(t, "harness.yaml", strings.Replace(agent, c.old, c.new, 1), "l.json", lock))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, change := range Diff(before, after) {
			got = append(got, fmt.Sprint(map[bool]string{true: "more ", false: "less "}[change.More()], change))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s", name, strings.Join(got, ", "))
		}
	}
}

// TestOwnSkills: Nacre's own are read as anybody's, and each names the capabilities
// that go with it.
func TestOwnSkills(t *testing.T) {
	for _, name := range harness.BuiltIn(skills.Files) {
		folder, err := fs.Sub(skills.Files, "harness/"+name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := skill.Read(folder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Metadata["nacre-capabilities"] != s.CapabilitiesDigest {
			t.Errorf("%s: metadata: nacre-capabilities is not %s: nacre skill pack writes it", name, s.CapabilitiesDigest)
		}
		if lines, err := Read(s, folder); err != nil || len(lines) == 0 {
			t.Errorf("%s: %v, %v", name, err, lines)
		}
	}
}
