package harness_test

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"nacre/fault"
	"nacre/harness"
	"nacre/harness/npm"
	"nacre/policy"
	"nacre/skills"
)

// TestBuiltIn: each harness that comes with Nacre reads, has a hash of every
// package on both machines, and finds its program where that is unpacked.
func TestBuiltIn(t *testing.T) {
	for _, name := range harness.BuiltIn(skills.Files) {
		h, err := harness.Find(skills.Files, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if h.Skill.Name != name {
			t.Errorf("%s calls itself %s", name, h.Skill.Name)
		}
		for _, arch := range []string{"amd64", "arm64"} {
			for _, l := range h.Layers {
				list, err := h.Packages(l, npm.For(arch))
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				within(t, h, l, list, arch)
			}
		}
	}
	for _, name := range []string{"", ".", "..", "../harness/pi", "claud"} {
		if _, err := harness.Find(skills.Files, name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// noArm are agents that are not made for that machine.
var noArm = []string{"opencode"}

// within: a program of the command that lies in a layer belongs to a package of it.
func within(t *testing.T, h *harness.Harness, l harness.Layer, list []npm.Package, arch string) {
	t.Helper()
	m, err := h.Manifest(harness.Task{Mode: harness.Headless, Words: []string{"x"}, Machine: npm.For(arch), Starter: "/s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range m.Command {
		rest, ok := strings.CutPrefix(word, l.At+"/")
		if ok && !slices.ContainsFunc(list, func(p npm.Package) bool { return strings.HasPrefix(rest, p.Place+"/") }) && (arch == "amd64" || !slices.Contains(noArm, h.Skill.Name)) {
			t.Errorf("%s: no package of %s has %s", h.Skill.Name, l.Lock, word)
		}
	}
}

// folder is a harness skill.
func folder(yaml, capabilities string) fstest.MapFS {
	f := fstest.MapFS{"SKILL.md": {Data: []byte("---\nname: tiny\ndescription: Does little.\n---\n")}, "harness.yaml": {Data: []byte("version: 1\n" + yaml)}, "lock.json": {Data: []byte("{}")}}
	if capabilities != "" {
		f["capabilities.yaml"] = &fstest.MapFile{Data: []byte("version: 1\nname: tiny\n" + capabilities)}
	}
	return f
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ yaml, capabilities, want string }{
		"unknown key":           {"hosts: [a.test]", "", "unknown key"},
		"no way":                {"command: [a]", "", "no way to run it"},
		"no task":               {"headless: [a]", "", "expected {prompt} or {arguments}"},
		"home upwards":          {"interactive: []\nhome: {../a: b}", "", "a file's name below the home"},
		"home long":             {"interactive: []\nhome: {" + strings.Repeat("a", 201) + ": b}", "", "a file's name below the home"},
		"home absolute":         {"interactive: []\nhome: {/etc/a: b}", "", "a file's name below the home"},
		"layer elsewhere":       {"interactive: []\nlayers: [{lock: lock.json, at: /usr/bin}]", "", "such as /opt/node"},
		"layer above":           {"interactive: []\nlayers: [{lock: ../lock.json, at: /opt/a}]", "", "a file of the skill's"},
		"layer twice":           {"interactive: []\nlayers: [{lock: lock.json, at: /opt/a}, {lock: lock.json, at: /opt/a}]", "", "a place of its own"},
		"no such lock":          {"interactive: []\nlayers: [{lock: other.json, at: /opt/a}]", "", "no file other.json"},
		"host":                  {"interactive: []\nrefuses: [A.test]", "", "lower-case host name"},
		"model of none":         {"interactive: []\nhome: {a: \"{model}\"}", "", "expected the name of one"},
		"sandbox not off":       {"interactive: []\nheadless: [--off, \"{prompt}\"]\nown-sandbox: {off-by: --off}", "", "not among the arguments of interactive"},
		"sandbox off and on":    {"interactive: [--off]\nown-sandbox: {off-by: --off, nested: true}", "", "either off-by or nested"},
		"nested, not asked":     {"interactive: []\nown-sandbox: {nested: true}", "", "does not ask for syscalls"},
		"a command beside":      {"interactive: []", "command: [a]", "are in harness.yaml"},
		"environment beside":    {"interactive: []", "environment: {A: b}", "are in harness.yaml"},
		"no place to resume":    {"interactive: []\nresume: [-c]", "", "{resume} as one of"},
		"nothing to resume":     {"interactive: [\"{resume}\"]", "", "expected arguments"},
		"no place for output":   {"headless: [\"{prompt}\"]\noutput: {arguments: [-j], text: [{at: a}]}", "", "{output} as one of"},
		"no output":             {"headless: [\"{output}\", \"{prompt}\"]", "", "expected arguments"},
		"no path":               {"headless: [\"{prompt}\"]\noutput: {text: [{at: a..b}]}", "", "message.content"},
		"output as a word":      {"headless: [\"{prompt}\"]\noutput: json", "", "expected keys and values"},
		"no variable's name":    {"interactive: []\nenvironment: {\"A\\nB\": x}", "", "not a variable's name"},
		"the sandbox's own":     {"interactive: []\nenvironment: {HOME: /x}", "", "always the sandbox's own"},
		"certificates, a value": {"interactive: []\ncertificates: [A=b]", "", "variables that tell it whom to trust"},
	} {
		if _, err := harness.Read(folder(c.yaml, c.capabilities)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	knowledge := folder("interactive: []", "")
	delete(knowledge, "harness.yaml")
	if _, err := harness.Read(knowledge); err == nil || !strings.Contains(err.Error(), "runs no agent") {
		t.Errorf("knowledge: %v", err)
	}
}

// swapped is a folder whose harness.yaml is another the second time.
type swapped struct {
	fstest.MapFS
	opened *int
}

func (s swapped) Open(name string) (fs.File, error) {
	if name == harness.File {
		if *s.opened++; *s.opened > 1 {
			return folder("interactive: [evil]", "").Open(name)
		}
	}
	return s.MapFS.Open(name)
}

// TestChangedWhileRead: what is obeyed is what the skill's digest was made of.
func TestChangedWhileRead(t *testing.T) {
	if _, err := harness.Read(swapped{folder("interactive: []", ""), new(int)}); fault.KindOf(err) != fault.Tampered {
		t.Errorf("%v", err)
	}
}

// TestManifest: what becomes of a task.
func TestManifest(t *testing.T) {
	h, err := harness.Read(folder(`
command: ["/opt/a/{arch}/{machine}", "--model={model}"]
headless: [-p, "{prompt}"]
interactive: [--tui, "{arguments}"]
environment: {A: b}
home: {.a/b: text}
certificates: [MY_CA]
refuses: [telemetry.test, "*.telemetry.test"]
own-sandbox: {nested: true}
`, "syscalls: [nested-sandbox]\nnetwork: [{host: api.test}]\nlimits: {memory: 1GiB}"))
	if err != nil {
		t.Fatal(err)
	}
	task := harness.Task{Mode: harness.Headless, Words: []string{"do", "-x; it"}, Machine: npm.For("arm64"), Bundle: "/ca", Starter: "/s"}
	m, err := h.Manifest(task)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/s", "start", "--keep", "", ".a/b", "text", "--", "/opt/a/arm64/aarch64", "-p", "do -x; it"}; !slices.Equal(m.Command, want) {
		t.Errorf("%q", m.Command)
	}
	if got := slices.Sorted(maps.Keys(m.Environment)); fmt.Sprint(got) != "[A MY_CA]" || m.Environment["MY_CA"].Value != "/ca" || m.Name != "tiny" || len(m.Network) != 1 || m.Files != nil {
		t.Errorf("%+v", m)
	}
	task.Model, task.Kept, task.Mode = "gpt-9", "/kept", harness.Interactive
	if m, err = h.Manifest(task); err != nil || fmt.Sprint(m.Command[:4], m.Command[7:]) != "[/s start --keep /kept] [/opt/a/arm64/aarch64 --model=gpt-9 --tui do -x; it]" {
		t.Errorf("%q %v", m.Command, err)
	}
	var g policy.Rules
	if h.Grant(&g); len(g.Network) != 1 || len(g.Syscalls) != 1 || g.Files.Roots != nil || g.Limits.Memory.N != 0 || h.Limits().Memory.N != 1<<30 {
		t.Errorf("%+v", g)
	}
	if deny := h.Deny(); len(deny.Network) != 2 || !strings.Contains(strings.Join(h.Says(), " "), "Landlock is left out") {
		t.Errorf("%+v %q", deny, h.Says())
	}
	for mode, want := range map[harness.Mode]string{harness.Headless: "there is no task", harness.ACP: "does not speak", 0: ""} {
		if _, err := h.Manifest(harness.Task{Mode: mode}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", mode, err)
		}
	}
}

// TestAtTimes: arguments for going on and for being read are there when they are wanted.
func TestAtTimes(t *testing.T) {
	h, err := harness.Read(folder("command: [a, --resume]\nheadless: [\"{resume}\", -p, \"{output}\", \"{prompt}\"]\ninteractive: []\nresume: [resume, --last]\noutput: {arguments: [--json, \"--for={model}\"], text: [{at: a}]}", ""))
	if err != nil {
		t.Fatal(err)
	}
	for want, task := range map[string]harness.Task{
		"[a --resume -p x]":                         {},
		"[a --resume resume --last -p x]":           {Resume: true},
		"[a --resume resume --last -p --json x]":    {Resume: true, Output: true},
		"[a --resume -p --json --for=gpt {output}]": {Output: true, Model: "gpt", Words: []string{"{output}"}},
		"cannot go on with a session that way":      {Resume: true, Mode: harness.Interactive},
		"--output is for a task":                    {Output: true, Mode: harness.Interactive},
		"does not speak the Agent Client Protocol ": {Mode: harness.ACP},
	} {
		task.Mode = max(task.Mode, harness.Headless)
		if task.Words == nil {
			task.Words = []string{"x"}
		}
		m, err := h.Manifest(task)
		if got := ""; err == nil {
			got = fmt.Sprint(m.Command)
			if got != want {
				t.Errorf("%+v: %s, want %s", task, got, want)
			}
		} else if !strings.Contains(err.Error()+" ", want) {
			t.Errorf("%+v: %v, want %s", task, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range harness.BuiltIn(skills.Files) {
		text, err := skills.Files.ReadFile("harness/" + name + "/harness.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("version: 1\nheadless: [\"{prompt}\"]\nhome: {a/../b: c}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := harness.Parse("harness.yaml", text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		for name := range h.Home {
			if !fs.ValidPath(name) {
				t.Fatalf("%q", name)
			}
		}
		for _, l := range h.Layers {
			if !strings.HasPrefix(l.At, "/opt/") || strings.Contains(l.At, "..") || !fs.ValidPath(l.Lock) {
				t.Fatalf("%+v", l)
			}
		}
	})
}
