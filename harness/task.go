package harness

import (
	"maps"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/harness/npm"
	"nacre/manifest"
	"nacre/policy"
)

// Mode is how an agent is run. The zero value is none.
type Mode int

// The modes.
const (
	_           Mode = iota
	Headless         // a task, with nobody there
	Interactive      // on a terminal
	ACP              // by an editor
)

// What stands for what the owner says.
const (
	prompt    = "{prompt}"
	arguments = "{arguments}"
	model     = "{model}"
	arch      = "{arch}"
	machine   = "{machine}"
	folder    = "{folder}"
	resume    = "{resume}"
	output    = "{output}"
)

// Task is what the owner wants of a harness.
type Task struct {
	Mode    Mode
	Words   []string // the task
	Model   string   // in place of the harness's own
	Resume  bool     // it goes on with its last session
	Output  bool     // what it prints is read
	Machine npm.Machine
	Folder  string // where it works, inside
	Bundle  string // where programs inside find whom to trust
	Starter string // the program inside that places files in the home
	Kept    string // the folder inside that keeps the home; none: it vanishes
}

// Manifest is what the harness asks for, for a task: its skill's capabilities,
// with the command. It grants nothing. Files are not in it.
func (h *Harness) Manifest(t Task) (*manifest.Manifest, error) {
	m := *h.capabilities()
	m.Name = h.Skill.Name
	m.Description = h.Skill.Description
	command, err := h.command(&t)
	if err != nil {
		return nil, err
	}
	m.Command = h.start(t, command)
	m.Environment = map[string]manifest.Variable{}
	for _, name := range h.Certificates {
		m.Environment[name] = manifest.Variable{Value: t.Bundle, Origin: h.Origin}
	}
	for name, v := range h.Environment {
		v.Value = t.fill(v.Value)
		m.Environment[name] = v
	}
	return &m, nil
}

// Deny is what holds besides any policy: hosts that the program is to do without
// are not reached even where something else allows them.
func (h *Harness) Deny() (deny policy.Deny) {
	for _, host := range h.Refuses {
		deny.Network = append(deny.Network, policy.DenyHost{Host: host, Origin: h.Origin})
	}
	return deny
}

// Packages are what each layer holds on a machine.
func (h *Harness) Packages(l Layer, on npm.Machine) ([]npm.Package, error) {
	return npm.Parse(h.Skill.Name+"/"+l.Lock, h.locks[l.Lock], on)
}

// Scripts are the packages whose scripts are run as they are installed, by harness.yaml:
// each by its name, and the lock file's. A text that is none has none.
func Scripts(text []byte) (list []string) {
	g, err := Parse(File, text)
	if err != nil {
		return nil
	}
	for _, l := range g.Layers {
		for _, name := range l.Scripts {
			list = append(list, name+" of "+l.Lock)
		}
	}
	return list
}

// Lock is the text of a layer's lock file.
func (h *Harness) Lock(l Layer) []byte { return h.locks[l.Lock] }

// command is the program with the arguments of the mode.
func (h *Harness) command(t *Task) ([]string, error) {
	if t.Model == "" {
		t.Model = h.Model
	}
	args, what := map[Mode][]string{Headless: h.Headless, Interactive: h.Interactive, ACP: h.ACP}[t.Mode],
		map[Mode]string{Headless: "takes no task: it wants a terminal", Interactive: "has nothing to show on a terminal: it takes a task", ACP: "does not speak the Agent Client Protocol"}[t.Mode]
	if args == nil {
		return nil, fault.New(fault.Usage, "%s %s", h.Skill.Name, what).WithHint("%s", map[Mode]string{Headless: "run it on a terminal, without a task",
			Interactive: "give it a task, behind --", ACP: "take one that does: nacre harness show NAME prints a line acp; or --with command -- PROGRAM, with any program that speaks it"}[t.Mode])
	}
	if t.Mode == Headless && strings.TrimSpace(strings.Join(t.Words, "")) == "" {
		return nil, fault.New(fault.Usage, "there is no task for %s", h.Skill.Name).
			WithHint("nacre run --with %s -- \"fix the failing test\"; on a terminal it can also be left out", h.Skill.Name)
	}
	if err := h.can(*t, args); err != nil {
		return nil, err
	}
	command := t.words(h.Command)
	for _, a := range args {
		switch {
		case a == resume && t.Resume:
			command = append(command, t.words(h.Resume)...)
		case a == output && t.Output:
			command = append(command, t.words(h.Output.Arguments)...)
		case a != resume && a != output:
			command = append(command, t.words([]string{a})...)
		}
	}
	if len(command) == 0 {
		return nil, fault.New(fault.Usage, "there is no program for %s to run", h.Skill.Name).WithHint("it comes behind --: --with %s -- PROGRAM [ARGUMENT]...", h.Skill.Name)
	}
	return command, nil
}

// can tells why a task is not one for a way to run the harness.
func (h *Harness) can(t Task, args []string) error {
	switch {
	case t.Resume && !slices.Contains(args, resume):
		return fault.New(fault.Usage, "--resume: %s cannot go on with a session that way", h.Skill.Name).WithHint("leave --resume out: what it keeps in its --home is there all the same")
	case t.Output && t.Mode != Headless:
		return fault.New(fault.Usage, "--output is for a task").WithHint("nacre run --with %s --output json -- \"fix the failing test\"", h.Skill.Name)
	case t.Output && !h.Output.Declared():
		return fault.New(fault.Usage, "--output: the harness %s does not say how to read what it prints", h.Skill.Name).WithHint("without --output it comes as it is")
	}
	return nil
}

// words are arguments with what stands for something in its place.
func (t Task) words(written []string) (list []string) {
	for _, a := range written {
		switch {
		case a == prompt:
			list = append(list, strings.Join(t.Words, " "))
		case a == arguments:
			list = append(list, t.Words...)
		case t.Model != "" || !strings.Contains(a, model):
			list = append(list, t.fill(a))
		}
	}
	return list
}

// fill puts the model and the machine into a text.
func (t Task) fill(s string) string {
	kernel := map[string]string{"x64": "x86_64", "arm64": "aarch64"}[t.Machine.CPU]
	return strings.NewReplacer(model, t.Model, arch, t.Machine.CPU, machine, kernel, folder, t.Folder).Replace(s)
}

// start has files placed in the home first, and the home kept, where there is
// something to do.
func (h *Harness) start(t Task, command []string) []string {
	if len(h.Home) == 0 && t.Kept == "" {
		return command
	}
	begin := []string{t.Starter, "start", "--keep", t.Kept}
	for _, name := range slices.Sorted(maps.Keys(h.Home)) {
		begin = append(begin, name, t.fill(h.Home[name]))
	}
	return slices.Concat(begin, []string{"--"}, command)
}

// Says is what an owner has to know about a run, one sentence each.
func (h *Harness) Says() (list []string) {
	switch o := h.OwnSandbox; {
	case o.OffBy != "":
		list = append(list, "its own sandbox is switched off ("+o.OffBy+"): this one is around it")
	case o.Nested:
		list = append(list, "its own sandbox works within this one, for which Landlock is left out")
	}
	return list
}

// Grant adds the lines of a policy that allow what the skill asks for: what an
// owner's word comes to, where the skill is one of Nacre's own. Limits are apart.
func (h *Harness) Grant(to *policy.Rules) {
	m := h.capabilities()
	to.Capabilities = m.Capabilities
	to.Limits = manifest.Limits{}
	if m.Image.Value != "" {
		to.Images = append(to.Images, m.Image)
	}
}

// Limits are what the skill asks for.
func (h *Harness) Limits() manifest.Limits { return h.capabilities().Limits }

// Ways are how it can be run.
func (h *Harness) Ways() (list []string) {
	for i, args := range [][]string{h.Headless, h.Interactive, h.ACP} {
		if args != nil {
			list = append(list, []string{"task", "terminal", "acp"}[i])
		}
	}
	return list
}
