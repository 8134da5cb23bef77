// Package boundary attacks the finished command: nacre run with the attack kit
// inside, judged from outside.
package boundary

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/attack"
	"nacre/attack/attacktest"
	"nacre/attack/wire"
	"nacre/test/programs"
)

var bin string

func TestMain(m *testing.M) {
	dir, remove, err := programs.Dir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// limits are what both the sandbox and the probes are told.
var limits = wire.Limits{Memory: 256 << 20, Processes: 128, OpenFiles: 1024, Disk: 64 << 20, Output: 32 << 20, CPUs: 1}

var limitFlags = strings.Fields("--limit memory=256MiB --limit processes=128 --limit open-files=1024 --limit disk=64MiB --limit output=32MiB --limit cpus=1")

// TestAttack: nothing escapes, as root and as a plain user. What the kit calls
// information is listed with its reason in docs/THREATS.md.
func TestAttack(t *testing.T) {
	const inside = "/work/target"
	home := programs.Home(t)
	t.Setenv("HOME", home)
	command := func(probe []string, folder string) []string {
		line := append([]string{filepath.Join(bin, "nacre"), "run", "-q"}, programs.Tiers()...)
		line = append(append(line, limitFlags...), "--files", folder+":write@"+inside, "--")
		return append(line, probe...)
	}
	options := attack.Options{Name: "nacre", Command: command, Inside: inside, Limits: limits, Program: filepath.Join(bin, "nacre-attack")}
	if newOwner(t).watched() {
		options.Admitted = attack.WithoutGroups() // docs/THREATS.md says so of that tier
	}
	report := attacktest.Run(t, options)
	attacktest.Held(t, report, nil)
	threats, err := os.ReadFile("../../docs/THREATS.md")
	if err != nil {
		t.Fatal(err)
	}
	contained := 0
	for _, e := range report.Entries {
		switch e.Verdict {
		case wire.Contained:
			contained++
		case wire.Info:
			if !strings.Contains(string(threats), "`"+e.ID+"`") {
				t.Errorf("%s is left over, and docs/THREATS.md does not say so: %s", e.ID, e.Evidence)
			}
		}
	}
	if contained < 100 {
		t.Errorf("only %d probes were contained: the attack did not take place", contained)
	}
	if left, _ := filepath.Glob(filepath.Join(home, ".local/state/nacre/run/*")); len(left) > 1 {
		t.Errorf("left behind: %q", left)
	}
}

// TestAttackWithANetwork: a way out that is granted is a way to nowhere else.
func TestAttackWithANetwork(t *testing.T) {
	const inside = "/work/target"
	o := newOwner(t)
	t.Setenv("HOME", o.home)
	entry := "network: [{host: 127.0.0.1, as: api.test, scheme: http, ports: [" + server(t) + "]}]\n"
	manifest := o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [x]\n"+entry)
	policy := o.write("p/policy.yaml", "version: 1\n"+entry)
	command := func(probe []string, folder string) []string {
		line := append([]string{filepath.Join(bin, "nacre"), "run", "-q", "--policy", policy, "--agent", manifest}, programs.Tiers()...)
		line = append(append(line, limitFlags...), "--files", folder+":write@"+inside, "--workdir", inside, "--")
		return append(line, probe...)
	}
	report := attacktest.Run(t, attack.Options{
		Name: "nacre with a network", Command: command, Inside: inside, Limits: limits, Program: filepath.Join(bin, "nacre-attack"),
		Probes: []string{"network.*", "kernel.*", "others.*", "descriptors.*"},
	})
	attacktest.Held(t, report, nil)
	if len(report.Entries) < 60 {
		t.Errorf("only %d probes", len(report.Entries))
	}
}
