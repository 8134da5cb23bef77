package matrix

import (
	"strings"
	"testing"

	"nacre/test/vm/machine"
)

// handler is a core_pattern program: the kernel starts it for a crash, as root
// and outside every namespace.
const handler = `printf '#!/bin/sh\ncat >/dev/null\necho "$1" >>/run/cores\n' >/usr/local/bin/handler; chmod 755 /usr/local/bin/handler
echo '|/usr/local/bin/handler %e' >/proc/sys/kernel/core_pattern`

const crash = `sh -c 'kill -SEGV $$'`

// TestCoreHandler: where core_pattern names a program, a crash inside a sandbox
// does not start it, whatever the program inside does with its limits; a crash
// outside does.
func TestCoreHandler(t *testing.T) {
	needMachine(t)
	p := payload(t, stock{})
	run := nacre + " run -q --accept old-landlock -- "
	inside := []string{crash, `sh -c 'ulimit -c unlimited; ulimit -c 0; ulimit -S -c 0; kill -SEGV $$'`, `sh -c '(ulimit -c 0; exec sh -c "kill -ABRT \$\$")'`}
	var steps []machine.Step
	for _, user := range []string{root, tester} {
		steps = append(steps, machine.Step{Name: "handler", User: root, Command: handler})
		for _, c := range inside {
			steps = append(steps, machine.Step{Name: c, User: user, Dir: "/tmp", Command: run + c})
		}
		steps = append(steps,
			machine.Step{Name: "after inside", User: user, Command: "sleep 2; cat /run/cores"},
			machine.Step{Name: "outside", User: user, Dir: "/tmp", Command: crash},
			machine.Step{Name: "after outside", User: user, Command: "sleep 2; cat /run/cores"},
			machine.Step{Name: "clear", User: root, Command: "rm /run/cores"})
	}
	results := boot(t, stock{}, p, steps)
	for _, user := range []string{root, tester} {
		for _, c := range inside {
			if r := results[key(c, user)]; r.Exit != 128+11 && r.Exit != 128+6 {
				t.Errorf("%s: %s did not crash: exit %d %s", user, c, r.Exit, r.Output)
			}
		}
		if r := results[key("after inside", user)]; r.Exit == 0 {
			t.Errorf("%s: the handler ran for a crash inside: %s", user, r.Output)
		}
		if r := results[key("after outside", user)]; r.Exit != 0 || strings.TrimSpace(r.Output) != "sh" {
			t.Errorf("%s: the handler did not run for a crash outside, so nothing is shown: %s", user, r.Output)
		}
	}
}
