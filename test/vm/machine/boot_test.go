package machine_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"nacre/test/vm/machine"
)

// needMachine skips unless machines are asked for: each takes a minute, and
// the first one minutes and a download.
func needMachine(t *testing.T) {
	if os.Getenv("NACRE_VM") == "" {
		t.Skip("needs NACRE_VM=1: boots an emulated machine")
	}
}

// show logs a machine's progress.
type show struct{ t *testing.T }

func (s show) Write(b []byte) (int, error) {
	s.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

func boot(t *testing.T, variant string, steps []machine.Step) map[string]machine.StepResult {
	needMachine(t)
	v, err := machine.NamedVariant(variant)
	if err != nil {
		t.Fatal(err)
	}
	results, err := machine.Run(t.Context(), machine.Spec{Variant: v, Steps: steps, Progress: show{t}})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]machine.StepResult{}
	for _, r := range results {
		named[r.Name] = r
	}
	return named
}

type wanted struct {
	exit int
	part string
}

func check(t *testing.T, got map[string]machine.StepResult, want map[string]wanted) {
	for name, w := range want {
		r := got[name]
		if r.Exit != w.exit || !strings.Contains(r.Output, w.part) {
			t.Errorf("%s: exit %d, want %d; output without %q:\n%s", name, r.Exit, w.exit, w.part, r.Output)
		}
	}
}

func TestStockMachine(t *testing.T) {
	const root, tester = machine.Root, machine.Tester
	got := boot(t, "stock", []machine.Step{
		{Name: "kernel", User: root, Command: "uname -r"},
		{Name: "controllers", User: root, Command: "cat /sys/fs/cgroup/cgroup.controllers"},
		{Name: "landlock", User: tester, Command: "test $(/srv/vm/guest landlock-abi) -gt 0"},
		{Name: "session", User: tester, Command: "cat /proc/self/cgroup; busctl --user status >/dev/null && echo bus works"},
		{Name: "scope", User: tester, Command: "systemd-run --user --scope -p Delegate=yes cat /proc/self/cgroup"},
		{Name: "userns", User: tester, Command: "unshare -Ur id -u && command -v newuidmap"},
		{Name: "bare", User: tester, Bare: true, Command: "cat /proc/self/cgroup; echo bus=$DBUS_SESSION_BUS_ADDRESS"},
		{Name: "variables", User: tester, Command: `echo "$A."; case $$ in *[!0-9]*) exit 1;; esac`, Env: map[string]string{"A": "a $HOME ${B}"}},
		{Name: "failing", User: root, Command: "exit 7"},
		{Name: "killed", User: tester, Command: "kill -9 $$"},
		{Name: "slow", User: tester, Command: "sleep 60", Timeout: time.Second},
	})
	check(t, got, map[string]wanted{
		"kernel":      {0, "-cloud-"},
		"controllers": {0, "memory"},
		"landlock":    {0, ""},
		"session":     {0, "bus works"},
		"scope":       {0, "/user@1000.service/app.slice/run-"},
		"userns":      {0, "newuidmap"},
		"bare":        {0, "bus=\n"},
		"variables":   {0, "a $HOME ${B}."},
		"failing":     {7, ""},
		"killed":      {137, ""},
		"slow":        {124, ""},
	})
	if !got["slow"].TimedOut || got["failing"].TimedOut {
		t.Errorf("timed out: slow %v, failing %v", got["slow"].TimedOut, got["failing"].TimedOut)
	}
}

// TestVariants boots the machines that lack something, and looks for it.
func TestVariants(t *testing.T) {
	const userns = "unshare -Ur true"
	const scope = "systemd-run --user --scope -p Delegate=yes sh -c 'cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/cgroup.controllers'"
	steps := []machine.Step{
		{Name: "root userns", User: machine.Root, Command: userns},
		{Name: "userns", User: machine.Tester, Command: userns},
		{Name: "landlock", User: machine.Root, Command: "echo abi=$(/srv/vm/guest landlock-abi)."},
		{Name: "scope", User: machine.Tester, Command: scope},
		{Name: "v1", User: machine.Root, Command: "grep -c :memory: /proc/self/cgroup"},
	}
	tests := map[string]map[string]wanted{
		"no-userns":              {"root userns": {1, "No space"}, "userns": {1, "No space"}},
		"no-unprivileged-userns": {"root userns": {0, ""}, "userns": {1, "not permitted"}},
		"no-landlock":            {"landlock": {0, "abi=0."}, "userns": {0, ""}},
		"no-cpu-controller":      {"scope": {0, "\nmemory pids\n"}},
		"no-memory-controller":   {"scope": {0, "\ncpu pids\n"}},
		"no-session":             {"scope": {1, "bus"}, "userns": {0, ""}},
		"cgroup-hybrid":          {"v1": {0, "1"}},
		"cgroup-v1":              {"v1": {0, "1"}},
	}
	for _, name := range machine.VariantNames() {
		if name == "stock" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if len(tests[name]) == 0 {
				t.Fatal("a variant without a test")
			}
			check(t, boot(t, name, steps), tests[name])
		})
	}
}
