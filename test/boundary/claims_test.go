package boundary

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/test/programs"
)

// refused is nacre's exit code where it refuses or fails itself.
const refused = 125

// owner is somebody with a home who runs nacre.
type owner struct {
	t    *testing.T
	home string
}

func newOwner(t *testing.T) owner { return owner{t, programs.Home(t)} }

func (o owner) write(name, content string) string {
	o.t.Helper()
	path := filepath.Join(o.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// nacre runs it, with the lower tiers of a plain user accepted where it runs
// something, and returns what it printed and its exit code.
func (o owner) nacre(args ...string) (out string, code int) {
	o.t.Helper()
	if args[0] == "run" {
		args = append(append([]string{"run"}, programs.Tiers()...), args[1:]...)
	}
	return o.bare(args...)
}

func (o owner) bare(args ...string) (out string, code int) {
	o.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "nacre"), args...)
	cmd.Dir = o.home
	cmd.Env = []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "CANARY=canary-in-the-environment"}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		o.t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// watched tells whether this user's sandboxes have a watchdog in place of
// control groups.
func (o owner) watched() bool {
	out, code := o.bare("run", "-q", "--accept", "owner-uid", "--", "true")
	return code != 0 && strings.Contains(out, "limits-watchdog")
}

// TestWhatNothingEnforcesIsRefused: a grant that no layer can enforce yet is
// not ignored: the run is refused, though the policy allows it.
func TestWhatNothingEnforcesIsRefused(t *testing.T) {
	for name, grant := range map[string]string{
		"money":    "models: [{provider: anthropic, models: [one], cents: 10}]",
		"messages": "messages: [{with: family, access: [send]}]",
		"schedule": "schedule: [{name: daily, when: [\"0 7 * * *\"]}]",
		"devices":  "devices: [dri]",
	} {
		t.Run(name, func(t *testing.T) {
			o := newOwner(t)
			manifest := o.write("agents/a/agent.yaml", "version: 1\nname: a\ncommand: [echo, it ran]\n"+grant+"\n")
			policy := o.write("policy/policy.yaml", "version: 1\nagents: [{manifest: ~/agents/a/agent.yaml, "+grant+"}]\n")
			if out, code := o.nacre("plan", "--policy", policy, "--agent", manifest); code != 0 {
				t.Fatalf("the plan itself: %d\n%s", code, out)
			}
			out, code := o.nacre("run", "--policy", policy, "--agent", manifest)
			if code != refused || strings.Contains(out, "it ran\n") {
				t.Errorf("ended with %d:\n%s", code, out)
			}
		})
	}
}

// TestNoRecordNoStart: where the audit cannot be written, nothing runs.
func TestNoRecordNoStart(t *testing.T) {
	o := newOwner(t)
	if out, code := o.nacre("run", "-q", "--", "echo", "it ran"); code != 0 || out != "it ran\n" {
		t.Fatalf("with an audit: %d %q", code, out)
	}
	record := filepath.Join(o.home, ".local/state/nacre/audit/audit.jsonl")
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(record, 0o700); err != nil {
		t.Fatal(err)
	}
	out, code := o.nacre("run", "-q", "--", "echo", "it ran")
	if code != refused || strings.Contains(out, "it ran") {
		t.Errorf("without an audit: %d\n%s", code, out)
	}
}

// TestTheMostIsThePolicys: a manifest cannot ask for more time, memory or
// processes than the policy allows, or than the default where it says nothing.
func TestTheMostIsThePolicys(t *testing.T) {
	for limit, more := range map[string]string{"time": "2h", "memory": "64GiB", "processes": "100000", "output": "1TiB", "cpus": "64"} {
		for _, policy := range []string{"version: 1\n", "version: 1\nlimits: {time: 1m, memory: 64MiB, processes: 16, output: 1KiB, cpus: 0.5}\n"} {
			o := newOwner(t)
			manifest := o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [echo, it ran]\nlimits: {"+limit+": "+more+"}\n")
			out, code := o.nacre("run", "--policy", o.write("p/policy.yaml", policy), "--agent", manifest)
			if code != refused || strings.Contains(out, "it ran\n") {
				t.Errorf("%s: %s under %q: %d\n%s", limit, more, policy, code, out)
			}
		}
	}
}

// TestMissingLayerRefuses: where this user on this machine cannot have a
// layer, nothing runs until its tier is accepted by name; then it runs and the
// plan says so.
func TestMissingLayerRefuses(t *testing.T) {
	o := newOwner(t)
	out, code := o.bare("run", "-q", "--", "echo", "it ran")
	if code == 0 {
		t.Skip("needs a machine or user that lacks a layer")
	}
	tiers := []string{"limits-watchdog", "owner-uid", "old-landlock", "no-landlock"}
	named := slices.ContainsFunc(tiers, func(tier string) bool { return strings.Contains(out, tier) })
	if code != refused || strings.Contains(out, "it ran") || !named {
		t.Errorf("ended with %d, and must refuse with the tier to accept:\n%s", code, out)
	}
	out, code = o.nacre("run", "--", "echo", "it ran")
	if code != 0 || !strings.Contains(out, "accepts-") {
		t.Errorf("with tiers accepted: %d\n%s", code, out)
	}
}

// TestNothingIsInherited: no variable, no descriptor and no folder of the
// owner's, in any process inside.
func TestNothingIsInherited(t *testing.T) {
	o := newOwner(t)
	secret := o.write("secret", "canary-in-a-file")
	f, err := os.Open(secret)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	script := `env; cat /proc/*/environ; ls -l /proc/self/fd /proc/1/fd; cat <&3; cat ` + secret + `; pwd; ls -a`
	args := append(append([]string{"run", "-q"}, programs.Tiers()...), "--", "sh", "-c", script)
	cmd := exec.Command(filepath.Join(bin, "nacre"), args...)
	cmd.Dir, cmd.ExtraFiles = o.home, []*os.File{f}
	cmd.Env = []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH"), "CANARY=canary-in-the-environment"}
	out, _ := cmd.CombinedOutput()
	if strings.Contains(string(out), "canary") || strings.Contains(string(out), o.home+"\n") || !strings.Contains(string(out), "/home/agent") {
		t.Errorf("something of the owner's is inside:\n%s", out)
	}
}

// TestNotInRealTime: an owner who runs in real time does not mean the agent to: it would
// go before its own supervisor, and no limit of processors binds it. As a plain user,
// who has no control group that refuses it.
func TestNotInRealTime(t *testing.T) {
	const nobody = 65534
	runtime.LockOSThread() // of which nacre is born
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}, 0); err != nil {
		t.Skipf("needs the right to run in real time: %v", err)
	}
	o := newOwner(t)
	cmd := exec.Command(filepath.Join(bin, "nacre"), "run", "-q", "--accept=limits-watchdog", "--accept=owner-uid", "--", "cut", "-d", " ", "-f", "41", "/proc/self/stat", "/proc/1/stat")
	cmd.Dir, cmd.Env = "/", []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH")}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chown(o.home, nobody, nobody), os.Chmod(filepath.Dir(o.home), 0o755), os.Chmod(bin, 0o755)); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{}, 0); err != nil {
		t.Fatal(err)
	}
	if string(out) != "0\n0\n" {
		t.Errorf("it is scheduled by policy %q: %v", out, err)
	}
}
