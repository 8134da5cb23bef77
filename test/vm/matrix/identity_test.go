package matrix

import (
	"strings"
	"testing"

	"nacre/test/vm/machine"
)

// TestIdentity: on a current stock machine, without any tier, a plain user's
// agent has a subordinate id of its own where it is granted no folder, and the
// owner's where it is; root's has one of root's range either way.
func TestIdentity(t *testing.T) {
	needMachine(t)
	p := payload(t, stock{})
	const show = " -- cat /proc/self/uid_map /proc/self/gid_map"
	folder := "mkdir -p ~/project && " + nacre + " run -q --files ~/project:write@/work/project"
	var steps []machine.Step
	for _, user := range []string{root, tester} {
		steps = append(steps,
			machine.Step{Name: "alone", User: user, Dir: "/tmp", Command: nacre + " run -q" + show},
			machine.Step{Name: "with folder", User: user, Dir: "/tmp", Command: folder + show},
			machine.Step{Name: "writes", User: user, Dir: "/tmp", Command: folder + " -- touch /work/project/f && stat -c %U:%G ~/project/f"})
	}
	results := boot(t, stock{kernel: "bookworm-backports"}, p, steps)
	for where, outside := range map[string]string{
		key("alone", tester): "100000", key("with folder", tester): "1000", key("alone", root): "20603", key("with folder", root): "20603",
	} {
		r := results[where]
		lines := strings.Split(strings.TrimSpace(r.Output), "\n")
		ok := r.Exit == 0 && len(lines) == 2
		for _, line := range lines {
			f := strings.Fields(line)
			ok = ok && len(f) == 3 && f[0] == "1000" && strings.HasPrefix(f[1], outside) && f[2] == "1"
		}
		if !ok {
			t.Errorf("%s: exit %d, want 1000 mapped to %s…:\n%s", where, r.Exit, outside, r.Output)
		}
	}
	for user, want := range map[string]string{root: "root:root", tester: "tester:tester"} {
		if r := results[key("writes", user)]; r.Exit != 0 || strings.TrimSpace(r.Output) != want {
			t.Errorf("%s: a file made inside: exit %d, %s", user, r.Exit, r.Output)
		}
	}
}
