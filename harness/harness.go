// Package harness reads harness.yaml: how a skill of the harness kind runs an
// agent's program. It says how and grants nothing: what the program may do, its
// skill's capabilities.yaml asks for. Both become a manifest and lines of a policy,
// for the one compiler.
package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/harness/result"
	"nacre/manifest"
	"nacre/pattern"
	"nacre/skill"
	"nacre/strict"
)

// File is what makes a skill a harness.
const File = "harness.yaml"

// Harness is how a skill runs its agent's program.
type Harness struct {
	Grammar
	Skill *skill.Skill
	locks map[string][]byte
}

// Grammar is a parsed harness.yaml.
type Grammar struct {
	Version      int                          `yaml:"version,required" match:"^1$" about:"the version of this grammar: 1"`
	Layers       []Layer                      `yaml:"layers" about:"what is installed for it, read-only; none: it is on the machine, or in the image"`
	Program      string                       `yaml:"program" oneof:"nacre-assistant" about:"a program that comes with Nacre, which is then at /opt/nacre"`
	Command      []string                     `yaml:"command" about:"the program, with the arguments that it always gets; {arch} is x64 or arm64, {machine} x86_64 or aarch64; an argument with {model} is left out where no model is named"`
	Headless     []string                     `yaml:"headless" about:"the arguments for a task without anybody there; {prompt} is the task, {arguments} all words of it, {model} the model, {resume} and {output} what is said below"`
	Interactive  []string                     `yaml:"interactive" about:"the arguments on a terminal; left out: it has nothing to show there"`
	ACP          []string                     `yaml:"acp" about:"the arguments with which it speaks the Agent Client Protocol; left out: it does not"`
	Stdin        bool                         `yaml:"stdin" about:"true: a task reads what is piped in; else it finds nothing there"`
	Resume       []string                     `yaml:"resume" about:"the arguments, in place of {resume}, with which it goes on with its last session; left out: it cannot"`
	Output       result.Format                `yaml:"output" about:"how what a task prints is read, for --output; left out: it is not"`
	Model        string                       `yaml:"model" match:"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$" about:"the model, where the owner names none"`
	Environment  map[string]manifest.Variable `yaml:"environment" about:"variables, as in a manifest"`
	Home         map[string]string            `yaml:"home" about:"files to begin with in its home, with their texts; {model} is the model, {folder} where it works"`
	Certificates []string                     `yaml:"certificates" match:"^[A-Z][A-Z0-9_]{0,63}$" about:"variables that tell it whom to trust, with the name of the file"`
	Refuses      []string                     `yaml:"refuses" about:"hosts for updates and telemetry, which it does without"`
	OwnSandbox   OwnSandbox                   `yaml:"own-sandbox" about:"the program's own sandbox; left out: it has none"`
	Origin       nacre.Origin
}

// Layer is packages of npm's that are installed together.
type Layer struct {
	Lock string `yaml:"lock,required" about:"a package-lock.json of the skill's, with a hash of each package"`
	At   string `yaml:"at,required" match:"^/opt/[a-z0-9][a-z0-9-]*$" about:"where it appears, such as /opt/node"`
	// Scripts are packages by their names in a registry.
	Scripts []string `yaml:"scripts" match:"^(@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$" about:"packages whose own scripts (preinstall, install, postinstall) are run as it is installed, in this order; no others are"`
	Origin  nacre.Origin
}

// OwnSandbox is what becomes of a sandbox that the program makes itself.
type OwnSandbox struct {
	OffBy  string `yaml:"off-by" about:"the argument that switches it off"`
	Nested bool   `yaml:"nested" about:"true: it works within, by the group nested-sandbox, which capabilities.yaml asks for"`
}

// Read reads the harness of a skill.
func Read(folder fs.FS) (*Harness, error) {
	s, err := skill.Read(folder)
	if err != nil {
		return nil, err
	}
	if s.Kind != skill.Harness {
		return nil, fault.New(fault.Invalid, "%s is a skill of the kind %s, and runs no agent", s.Name, s.Kind).
			WithHint("a harness has a %s", File)
	}
	text, err := reread(folder, s, File)
	if err != nil {
		return nil, err
	}
	g, err := Parse(path.Join(s.Name, File), text)
	if err != nil {
		return nil, err
	}
	h := &Harness{Grammar: *g, Skill: s, locks: map[string][]byte{}}
	for _, l := range h.Layers {
		if h.locks[l.Lock], err = reread(folder, s, l.Lock); err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "%s: layers", l.Origin)
		}
	}
	return h, h.fits()
}

// reread reads a file of a skill, which must still be what its digest was made of:
// a policy's rule is for that.
func reread(folder fs.FS, s *skill.Skill, name string) ([]byte, error) {
	at := slices.IndexFunc(s.Files, func(f skill.File) bool { return f.Path == name })
	if at < 0 {
		return nil, fault.New(fault.NotFound, "%s has no file %s", s.Name, name)
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s", s.Name)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, skill.MaxTotal))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s", s.Name)
	}
	if sum := sha256.Sum256(text); s.Files[at].Digest != "sha256:"+hex.EncodeToString(sum[:]) {
		return nil, fault.New(fault.Tampered, "%s: %s was changed while it was read", s.Name, name)
	}
	return text, nil
}

// Parse reads a harness.yaml by itself. The file's name is only for messages.
func Parse(file string, text []byte) (*Grammar, error) {
	return strict.Decode(file, text, &Grammar{})
}

// Check refuses what cannot be meant.
func (h *Grammar) Check() error {
	if h.Headless == nil && h.Interactive == nil {
		return strict.Invalid(h.Origin, "expected headless or interactive: there is no way to run it")
	}
	if h.Headless != nil && !slices.Contains(h.Headless, prompt) && !slices.Contains(h.Headless, arguments) {
		return strict.Invalid(h.Origin, "headless: expected {prompt} or {arguments} as one of the arguments")
	}
	for name := range h.Home {
		if len(name) > 200 || !homeFile().MatchString(name) || !fs.ValidPath(name) {
			return strict.Invalid(h.Origin, "home: expected a file's name below the home, such as .agent/settings.json, found %q", name)
		}
	}
	if h.Model == "" && slices.ContainsFunc(h.texts(), func(s string) bool { return strings.Contains(s, model) }) {
		return strict.Invalid(h.Origin, "model: environment and home speak of {model}: expected the name of one")
	}
	for i, l := range h.Layers {
		if len(slices.Compact(slices.Sorted(slices.Values(l.Scripts)))) < len(l.Scripts) {
			return strict.Invalid(l.Origin, "scripts: a package is named twice")
		}
		if !fs.ValidPath(l.Lock) || slices.ContainsFunc(h.Layers[:i], func(o Layer) bool { return o.At == l.At }) {
			return strict.Invalid(l.Origin, "layers: expected a file of the skill's, and a place of its own for each")
		}
	}
	for _, host := range h.Refuses {
		if err := manifest.CheckHost(h.Origin, strings.TrimPrefix(host, "*.")); err != nil {
			return err
		}
	}
	for _, check := range []func() error{h.checkVariables, h.checkPlaces, h.checkOwnSandbox} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkVariables refuses what no sandbox would be given.
func (h *Grammar) checkVariables() error {
	for _, name := range slices.Sorted(maps.Keys(h.Environment)) {
		if err := manifest.CheckVariable(name, h.Environment[name]); err != nil {
			return err
		}
	}
	return nil
}

// checkPlaces sees to it that arguments which are given at times have a place.
func (h *Grammar) checkPlaces() error {
	switch {
	case (h.Resume != nil) != (slices.Contains(h.Headless, resume) || slices.Contains(h.Interactive, resume)):
		return strict.Invalid(h.Origin, "resume: expected arguments, and {resume} as one of those of headless or interactive")
	case len(h.Output.Arguments) > 0 != slices.Contains(h.Headless, output):
		return strict.Invalid(h.Origin, "output: expected arguments, and {output} as one of those of headless")
	}
	return nil
}

// texts are those that cannot be left out.
func (h *Grammar) texts() []string {
	list := slices.Collect(maps.Values(h.Home))
	for _, v := range h.Environment {
		list = append(list, v.Value)
	}
	return list
}

// homeFile is a name of a file below a home.
var homeFile = pattern.Of(`^[A-Za-z0-9._/-]+$`)

// checkOwnSandbox sees to it that what is said to be off is switched off however
// the program is started.
func (h *Grammar) checkOwnSandbox() error {
	o := h.OwnSandbox
	if o.OffBy != "" && o.Nested {
		return strict.Invalid(h.Origin, "own-sandbox: expected either off-by or nested")
	}
	for way, args := range map[string][]string{"headless": h.Headless, "interactive": h.Interactive, "acp": h.ACP} {
		if o.OffBy != "" && args != nil && !slices.Contains(args, o.OffBy) && !slices.Contains(h.Command, o.OffBy) {
			return strict.Invalid(h.Origin, "own-sandbox: %s is not among the arguments of %s", o.OffBy, way)
		}
	}
	return nil
}

// fits sees to it that harness.yaml and capabilities.yaml do not contradict.
func (h *Harness) fits() error {
	m := h.capabilities()
	nested := slices.ContainsFunc(m.Syscalls, func(t strict.Text) bool { return t.Value == "nested-sandbox" })
	switch {
	case len(m.Command) > 0 || len(m.Environment) > 0 || m.Workdir != "":
		return strict.Invalid(m.Origin, "command, environment and workdir of a harness are in %s", File)
	case h.OwnSandbox.Nested && !nested:
		return strict.Invalid(h.Origin, "own-sandbox: nested: %s does not ask for syscalls: [nested-sandbox]", skill.CapabilitiesFile)
	}
	return nil
}

// capabilities are what the skill asks for: nothing where it has no such file.
func (h *Harness) capabilities() *manifest.Manifest {
	if h.Skill != nil && h.Skill.Capabilities != nil {
		return h.Skill.Capabilities
	}
	return &manifest.Manifest{Version: 1, Loopback: true, Origin: h.Origin}
}
