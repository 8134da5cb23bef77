// Package matrix shows the boundary on the machines that users have: it boots
// stock distributions and runs there the tests of everything that touches the
// kernel, the attack kit, and what has to be refused. docs/KERNELS.md has the
// results.
//
//	NACRE_VM=1 go test -timeout 3h -v ./test/vm/matrix [-run TestStock/6.1]
package matrix

import (
	"os"
	"strings"
	"testing"
	"time"

	"nacre/test/vm/machine"
)

const (
	root   = machine.Root
	tester = machine.Tester
	nacre  = machine.Dir + "/bin/nacre"
)

// stock is a machine on which everything must work.
type stock struct {
	arch, release, kernel, variant string

	accept string   // tiers
	users  []string // default: both
	slow   bool     // emulated so slowly that only the engine is tested
	once   bool     // only what the one boot of each change has time for
}

// stocks are the machines. On 6.1, Landlock has ABI 2: the one tier that a
// stock Debian 12 asks for. The 6.12 kernels need none.
var stocks = map[string]stock{
	"6.1":          {accept: "old-landlock"},
	"6.12":         {kernel: "bookworm-backports"},
	"trixie":       {release: "trixie"},
	"hybrid":       {variant: "cgroup-hybrid", accept: "old-landlock", users: []string{root}},
	"v1":           {variant: "cgroup-v1", accept: "old-landlock", users: []string{root}},
	"arm64":        {arch: "arm64", accept: "old-landlock", slow: true},
	"6.1, hardly":  {accept: "old-landlock limits-watchdog owner-uid", variant: "no-session", users: []string{tester}},
	"no-landlock":  {accept: "no-landlock", variant: "no-landlock"},
	"plain hybrid": {variant: "cgroup-hybrid", accept: "old-landlock limits-watchdog", users: []string{tester}},
}

// TestStock: the tests that touch the kernel, and the attack kit, on each
// machine, with no tier accepted but those listed.
func TestStock(t *testing.T) {
	needMachine(t)
	for name, s := range stocks {
		t.Run(name, func(t *testing.T) { s.show(t, name) })
	}
}

// TestOneBoot: a stock Debian 12 for each change, as root and as a plain user,
// with the parts of TestStock that take minutes.
func TestOneBoot(t *testing.T) {
	needMachine(t)
	s := stocks["6.1"]
	s.once = true
	s.show(t, "one boot, 6.1")
}

// show boots the machine, runs everything for each user, and judges.
func (s stock) show(t *testing.T, name string) {
	t.Helper()
	users := s.users
	if users == nil {
		users = []string{root, tester}
	}
	p := payload(t, s)
	var steps []machine.Step
	for _, user := range users {
		steps = append(steps, first(user, s.accept))
		steps = append(steps, machine.Step{Name: "nacre doctor", User: user, Command: nacre + " doctor"})
		steps = append(steps, p.tests(user, s)...)
		steps = append(steps, s.attack(user))
	}
	results := boot(t, s, p, steps)
	for _, user := range users {
		judge(t, name, user, s, results)
	}
}

// first is the simplest run of all.
func first(user, accept string) machine.Step {
	return machine.Step{Name: "id", User: user, Dir: "/tmp", Command: nacre + " run -q " + flags(accept) + " -- id -u"}
}

func flags(accept string) string {
	var out []string
	for _, tier := range strings.Fields(accept) {
		out = append(out, "--accept", tier)
	}
	return strings.Join(out, " ")
}

// attack attacks Nacre's own sandbox. Errors are kept apart from the JSON.
func (s stock) attack(user string) machine.Step {
	command := nacre + " attack --json " + flags(s.accept)
	if s.once {
		command += " " + onceProbes
	}
	return machine.Step{Name: "attack", User: user, Dir: "/tmp", Timeout: 30 * time.Minute,
		Command: command + " 2>~/attack.errors || { cat ~/attack.errors; exit 1; }"}
}

func needMachine(t *testing.T) {
	t.Helper()
	if os.Getenv("NACRE_VM") == "" {
		t.Skip("needs NACRE_VM=1: boots emulated machines, for minutes each")
	}
}

// key names a step's result.
func key(name, user string) string { return name + " as " + user }

func boot(t *testing.T, s stock, p payloadFiles, steps []machine.Step) map[string]machine.StepResult {
	t.Helper()
	v, err := machine.NamedVariant(or(s.variant, "stock"))
	if err != nil {
		t.Fatal(err)
	}
	spec := machine.Spec{Arch: s.arch, Release: s.release, Kernel: s.kernel, Variant: v,
		Files: p.files, Steps: steps, Timeout: 3 * time.Hour, Progress: show{t}}
	if s.once {
		spec.Timeout = 25 * time.Minute // it takes four and a half on two quiet cores
	}
	results, err := machine.Run(t.Context(), spec)
	if err != nil && strings.Contains(err.Error(), "Kernel panic") {
		// The emulator at times runs an instruction that the guest's kernel is
		// just patching (jump labels). A panic of ours would come back.
		t.Logf("booted once more after: %v", err)
		results, err = machine.Run(t.Context(), spec)
	}
	if err != nil {
		t.Error(err)
	}
	named := map[string]machine.StepResult{}
	for _, r := range results {
		named[key(r.Name, r.User)] = r
	}
	return named
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// show logs a machine's progress.
type show struct{ t *testing.T }

func (s show) Write(b []byte) (int, error) {
	s.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
