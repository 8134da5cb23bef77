// Package toolserver runs tool servers that are skills: each in a sandbox of its own,
// with grants of its own, and a supervisor of its own. What it says goes, by a stream
// and nothing else, to the gateway of the agent that uses it.
package toolserver

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/manifest"
	"nacre/skill"
	"nacre/strict"
)

// File is where a skill says how its server is started.
const File = "tool.yaml"

// Bridge is where the program is that speaks for a server that speaks HTTP.
const Bridge = "/skill-bridge"

// Inside is where a server finds its skill's folder, to read: where every agent that
// may read a skill finds it.
func Inside(name string) string { return path.Join(compile.Home, ".agents/skills", name) }

// MaxAnswer is the longest that one answer may take.
const MaxAnswer = 10 * time.Minute

// Tool is what tool.yaml says.
type Tool struct {
	Version int         `yaml:"version,required" match:"^1$" about:"the version of this grammar: 1"`
	Command []string    `yaml:"command,required,some" about:"the program and its arguments; ./NAME is a file of the skill"`
	URL     strict.Text `yaml:"url" match:"^http://127[.]0[.]0[.]1:[1-9][0-9]{0,4}/[A-Za-z0-9._~/-]{0,200}$" about:"where the server speaks HTTP, such as http://127.0.0.1:8000/mcp, inside its sandbox; default: it speaks in lines on its standard input and output"`
	Answer  strict.Text `yaml:"answer" match:"^[1-9][0-9]{0,3}(s|m)$" about:"how long one answer may take, such as 30s; default and most: 10m"`
	Origin  nacre.Origin
}

// Parse reads tool.yaml.
func Parse(text []byte) (*Tool, error) {
	return strict.Decode(File, text, &Tool{})
}

// most bounds tool.yaml, in bytes.
const most = 64 << 10

// Read reads a skill's tool.yaml.
func Read(folder string) (*Tool, error) {
	dir, err := skill.Beneath(folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	t, err := ReadIn(dir)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "%s", folder)
	}
	return t, nil
}

// ReadIn reads the tool.yaml in a folder.
func ReadIn(dir fs.FS) (*Tool, error) {
	f, err := dir.Open(File)
	if err != nil {
		return nil, fault.New(fault.Invalid, "it is no tool server: it has no %s that can be read", File)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || len(text) > most {
		return nil, fault.New(fault.Invalid, "%s: it cannot be read, or is over %d bytes", File, most)
	}
	return Parse(text)
}

// Check refuses what cannot be meant.
func (t *Tool) Check() error {
	if t.Patience() > MaxAnswer {
		return strict.Invalid(t.Answer.Origin, "answer: expected at most %v, found %q", MaxAnswer, t.Answer.Value)
	}
	if name := t.Command[0]; name == "" || slices.ContainsFunc(t.Command, func(s string) bool { return strings.ContainsRune(s, 0) }) {
		return strict.Invalid(t.Origin, "command: expected a program and its arguments, without NUL; of the skill's own as ./NAME")
	}
	return nil
}

// Patience is how long one answer may take.
func (t *Tool) Patience() time.Duration {
	d, err := time.ParseDuration(t.Answer.Value)
	if err != nil {
		return MaxAnswer
	}
	return d
}

// Manifest is what a skill's server asks for: what its capabilities.yaml says,
// without which it is nothing, and its command.
func Manifest(s *skill.Skill, t *Tool) (*manifest.Manifest, error) {
	if s.Kind != skill.Tool {
		return nil, fault.New(fault.Invalid, "the skill %s is no tool server: it has no %s", s.Name, File)
	}
	m := manifest.Manifest{Version: 1, Name: s.Name, Description: s.Description, Loopback: true, Origin: nacre.Origin{File: File}}
	if s.Capabilities != nil {
		m = *s.Capabilities
	}
	if len(m.Command) > 0 {
		return nil, strict.Invalid(m.Origin, "command: %s says it", File)
	}
	if i := slices.IndexFunc(m.Tools, func(t manifest.Tool) bool { return t.Skill != "" }); i >= 0 {
		return nil, strict.Invalid(m.Tools[i].Origin, "tools: a tool server uses none that is a skill: one that is itself, or leads back to it, would be started without end")
	}
	m.Command = slices.Clone(t.Command)
	if strings.HasPrefix(m.Command[0], "./") {
		m.Command[0] = path.Join(Inside(s.Name), m.Command[0])
	}
	if t.URL.Value != "" {
		m.Command = append([]string{Bridge, t.URL.Value}, m.Command...)
	}
	if m.Workdir == "" {
		m.Workdir = Inside(s.Name)
	}
	return &m, nil
}
