package matrix

import (
	"strings"
	"testing"
	"time"

	"nacre/test/vm/machine"
)

// refusal is a machine that lacks a layer. Without the tier a run is refused,
// with the reason and the remedy; with it, where there is one, the run goes on.
type refusal struct {
	variant, user string
	prepare       string // a command of root's that takes something away
	given         string // tiers accepted all along
	says, hint    string
	tier          string // accepted last; empty: nothing helps
}

var refusals = map[string]refusal{
	"Landlock is old":                 {user: root, says: "ABI 2", hint: "newer kernel", tier: "old-landlock"},
	"Landlock is old, plain user":     {user: tester, says: "ABI 2", hint: "newer kernel", tier: "old-landlock"},
	"no Landlock":                     {variant: "no-landlock", user: root, says: "no Landlock", hint: "lsm=", tier: "no-landlock"},
	"no Landlock, plain user":         {variant: "no-landlock", user: tester, says: "no Landlock", hint: "lsm=", tier: "no-landlock"},
	"no user namespaces":              {variant: "no-userns", user: root, given: "old-landlock", says: "user namespaces", hint: "max_user_namespaces"},
	"no user namespaces, plain user":  {variant: "no-userns", user: tester, given: "old-landlock", says: "user namespaces", hint: "max_user_namespaces"},
	"no unprivileged user namespaces": {variant: "no-unprivileged-userns", user: tester, given: "old-landlock", says: "user namespaces", hint: "unprivileged_userns_clone"},
	"no session":                      {variant: "no-session", user: tester, given: "old-landlock", says: "systemd user manager", hint: "enable-linger", tier: "limits-watchdog"},
	"no cpu controller":               {variant: "no-cpu-controller", user: tester, given: "old-landlock", says: "cpu controller", hint: "Delegate=", tier: "limits-watchdog"},
	"no memory controller":            {variant: "no-memory-controller", user: root, given: "old-landlock", says: "memory controller", hint: "cgroup_enable=memory", tier: "limits-watchdog"},
	"crashes go to a socket": {user: root, prepare: toSocket, given: "old-landlock",
		says: "to a socket of the host's", hint: "kernel.core_pattern", tier: "core-socket"},
	"crashes go to a socket, plain user": {user: tester, prepare: toSocket, given: "old-landlock",
		says: "to a socket of the host's", hint: "kernel.core_pattern", tier: "core-socket"},
	"no subordinate ids": {user: tester, prepare: "sed -i /tester/d /etc/subuid", given: "old-landlock",
		says: "/etc/subuid", hint: "usermod --add-subuids", tier: "owner-uid"},
	"no newuidmap": {user: tester, prepare: "mv /usr/bin/newuidmap /usr/bin/not-newuidmap", given: "old-landlock",
		says: "newuidmap is not installed", hint: "uidmap", tier: "owner-uid"},
}

// TestRefusals boots each lacking machine once.
func TestRefusals(t *testing.T) {
	needMachine(t)
	p := payload(t, stock{})
	variants := map[string][]string{}
	for name, r := range refusals {
		variants[r.variant] = append(variants[r.variant], name)
	}
	for variant, names := range variants {
		t.Run(or(variant, "stock"), func(t *testing.T) {
			var steps []machine.Step
			for _, name := range names {
				steps = append(steps, refusals[name].steps(name)...)
			}
			results := boot(t, stock{variant: variant}, p, steps)
			for _, name := range names {
				refusals[name].check(t, name, results)
			}
		})
	}
}

// toSocket is what hands crashes to a socket from Linux 6.16 on; before, it is a file's name.
const toSocket = "echo @/run/cores >/proc/sys/kernel/core_pattern"

// undo gives back what a refusal's preparation took away.
const undo = "; mv /usr/bin/not-newuidmap /usr/bin/newuidmap 2>/dev/null; grep -q tester /etc/subuid || echo tester:100000:65536 >>/etc/subuid; echo core >/proc/sys/kernel/core_pattern"

func (r refusal) steps(name string) (steps []machine.Step) {
	run := func(accept string) string { return nacre + " run -q " + flags(accept) + " -- echo it runs" }
	add := func(what, user, command string) {
		steps = append(steps, machine.Step{Name: name + ": " + what, User: user, Dir: "/tmp", Command: command, Timeout: time.Minute})
	}
	if r.prepare != "" {
		add("prepare", root, r.prepare)
	}
	add("refused", r.user, run(r.given))
	add("doctor", r.user, nacre+" doctor")
	if r.tier != "" {
		add("accepted", r.user, run(r.given+" "+r.tier))
	}
	if r.prepare != "" {
		add("undo", root, "true"+undo)
	}
	return steps
}

func (r refusal) check(t *testing.T, name string, results map[string]machine.StepResult) {
	t.Helper()
	got := results[key(name+": refused", r.user)]
	reason, hint, _ := strings.Cut(got.Output, "\n")
	if got.Exit != 125 || !strings.HasPrefix(reason, "error: ") || !strings.Contains(reason, r.says) ||
		!strings.HasPrefix(hint, "hint: ") || !strings.Contains(hint, r.hint) || strings.Count(got.Output, "\n") != 2 {
		t.Errorf("%s: exit %d, want 125 with %q and the hint %q:\n%s", name, got.Exit, r.says, r.hint, got.Output)
	}
	if d := results[key(name+": doctor", r.user)]; d.Exit != 1 {
		t.Errorf("%s: doctor ended with %d:\n%s", name, d.Exit, d.Output)
	}
	if r.tier == "" {
		return
	}
	if a := results[key(name+": accepted", r.user)]; a.Exit != 0 || a.Output != "it runs\n" || !strings.Contains(hint, r.tier) {
		t.Errorf("%s: with %s accepted: exit %d\n%s; the hint was %s", name, r.tier, a.Exit, a.Output, hint)
	}
}
