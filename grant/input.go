package grant

import (
	"cmp"
	"maps"
	"slices"

	"nacre"
	"nacre/compile"
	"nacre/manifest"
	"nacre/policy"
	"nacre/remedy"
	"nacre/strict"
)

// Unnamed is the name of a plan that neither a manifest nor the owner named.
const Unnamed = "command"

// Input is what a plan is made of, with what the owner says on the command
// line: asked for and allowed at once.
type Input struct {
	compile.Input          // Manifest nil: only the command line
	Name          string   // replaces the manifest's
	Command       []string // replaces the manifest's
	Files         []manifest.File
	Environment   map[string]manifest.Variable
	Limits        manifest.Limits
	Accept        []nacre.Tier
	Skill         []string // skills to read, by name
}

// Compile makes the plan, or says what would allow it.
func Compile(in Input) (nacre.Plan, error) {
	whole, err := in.Whole()
	if err != nil {
		return nacre.Plan{}, err
	}
	return remedy.Compile(whole)
}

// Whole is the input with the command line in its manifest and its grants. It
// leaves what it was made of alone.
func (in Input) Whole() (compile.Input, error) {
	m := manifest.Manifest{Loopback: true, Name: Unnamed, Origin: commandLine}
	if in.Manifest != nil {
		m = *in.Manifest
	}
	m.Name = cmp.Or(in.Name, m.Name)
	if len(in.Command) > 0 {
		m.Command = in.Command
	}
	whole := in.Input
	whole.Manifest = &m
	in.variables(&m, &whole.Granted)
	in.bounds(&m, &whole.Granted)
	in.skills(&m, &whole.Granted)
	return whole, in.folders(&m, &whole.Granted)
}

func (in Input) folders(m *manifest.Manifest, granted *policy.Rules) (err error) {
	m.Files = slices.Clone(m.Files)
	for _, f := range in.Files {
		if f.Preset != "" {
			granted.Files.Presets = append(granted.Files.Presets, strict.Text{Value: f.Preset, Origin: commandLine})
		} else {
			if f.Path, err = policy.Resolve(f.Path, in.Owner.Cwd, in.Owner.Home, f.Origin); err != nil {
				return err
			}
			granted.Files.Roots = append(granted.Files.Roots, policy.Root{Path: f.Path, Access: f.Access, Reason: "granted on the command line", Origin: commandLine})
		}
		m.Files = append(m.Files, f)
	}
	return nil
}

func (in Input) variables(m *manifest.Manifest, granted *policy.Rules) {
	all := map[string]manifest.Variable{}
	maps.Copy(all, m.Environment)
	maps.Copy(all, in.Environment)
	m.Environment = all
	for _, name := range slices.Sorted(maps.Keys(in.Environment)) {
		if in.Environment[name].From == "owner" {
			granted.Environment = append(granted.Environment, strict.Text{Value: name, Origin: commandLine})
		}
	}
}

func (in Input) skills(m *manifest.Manifest, granted *policy.Rules) {
	m.Skills = slices.Clone(m.Skills)
	for _, name := range in.Skill {
		t := strict.Text{Value: name, Origin: commandLine}
		granted.Skills = append(granted.Skills, t)
		if !slices.ContainsFunc(m.Skills, func(asked strict.Text) bool { return asked.Value == name }) {
			m.Skills = append(m.Skills, t)
		}
	}
}

func (in Input) bounds(m *manifest.Manifest, granted *policy.Rules) {
	granted.Limits = in.Limits
	asked := m.Limits.Each()
	for i, limit := range in.Limits.Each() {
		if limit.N > 0 {
			*asked[i].Amount = *limit.Amount
		}
	}
	for _, t := range in.Accept {
		granted.Accept = append(granted.Accept, strict.Text{Value: string(t), Origin: commandLine})
	}
}
