// Package faults breaks Nacre's own layers, one at a time, and kills its own
// processes: what is broken has to be refused, what is killed has to leave
// nothing.
package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/sandbox/layer"
	"nacre/test/programs"
)

// sound and faulty are the folders with Nacre's programs, as they are and with
// the tag nacrefault.
var sound, faulty string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var errs [2]error
	var remove func()
	sound, remove, errs[0] = programs.Dir()
	if errs[0] == nil {
		defer remove()
		faulty, remove, errs[1] = programs.Faulty()
	}
	for _, err := range errs {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	defer remove()
	return m.Run()
}

// breach is a layer to break, and how the refusal names it.
type breach struct{ fault, named string }

// breaches are all layers. What follows a vertical bar names the layer where
// the kernel itself refuses to build without it.
var breaches = []breach{
	{"namespace user", "cannot map the agent's identity|cannot start a sandbox"},
	{"namespace mnt", "cannot be built: namespaces: private mounts"},
	{"namespace pid", "namespaces, pid"}, {"namespace net", "namespaces, net"}, {"namespace ipc", "namespaces, ipc"},
	{"namespace uts", "namespaces, uts"}, {"namespace cgroup", "namespaces, cgroup"}, {"namespace time", "namespaces, time"},
	{"no user namespaces", "namespaces, max_user_namespaces"},
	{"uid map", "identity, uid map"}, {"gid map", "identity, gid map"},
	{"hostname", "identity, hostname"}, {"session keyring", "identity, owner's keyring"}, {"dumpable", "identity, dumpable"},
	{"environment", "environment, of init"},
	{"bounding set", "capabilities, CapBnd"}, {"inheritable set", "capabilities, CapInh"}, {"ambient set", "capabilities, CapInh"},
	{"no_new_privs", "capabilities, NoNewPrivs"}, {"securebits", "capabilities, securebits"},
	{"seccomp off", "seccomp, mode"}, {"seccomp twice", "seccomp, filters"}, {"seccomp of another plan", "seccomp, program"},
	{"landlock off", "landlock, reading"}, {"landlock reads", "landlock, reading"},
	{"landlock writes", "landlock, writing"}, {"landlock without scopes", "landlock, connecting"},
	{"loopback down", "network, loopback up"}, {"loopback up", "network, loopback up"},
	{"limit of open files", "limits, Max open files"}, {"limit of processes", "limits, Max processes"},
	{"limit of core", "limits, Max core file size"}, {"limit of memlock", "limits, Max locked memory"},
	{"limit of pending signals", "limits, Max pending signals"}, {"limit of message queues", "limits, Max msgqueue size"},
	{"oom score", "limits, oom_score_adj"},
	{"descriptor file", "descriptors, open in init"}, {"descriptor folder", "descriptors, open in init"},
	{"descriptor socket", "descriptors, open in init"}, {"descriptor timer", "descriptors, open in init"},
	{"mask of proc", "is not covered"}, {"file of proc", "is not covered"},
	{"proc unmasked", "is not covered"}, {"proc writable", "mounts, /proc"},
	{"mask of a folder", "is not covered"}, {"guard", "is not covered"}, {"guard writable", "is not covered"},
	{"tree writable", "mounts, /usr"}, {"tree missing", "mounts, /usr|cannot be built"},
	{"root writable", "mounts, /:"}, {"dev writable", "mounts, /dev:"}, {"private place read-only", "mounts, /tmp"},
	{"extra mount", "/extra is not in the plan"}, {"mount on top", "mounts, /tmp"},
	{"nosuid missing", "/tmp honours setuid"}, {"nodev missing", "/tmp has device nodes"}, {"mount shared", "/tmp shares mounts"},
}

// TestBrokenLayerIsRefused breaks each layer on purpose: nothing runs, and the
// refusal names the layer.
func TestBrokenLayerIsRefused(t *testing.T) {
	o := newOwner(t)
	if out, code := o.faulty("none at all"); code != 0 || out != "it ran\n" {
		t.Fatalf("with nothing broken: %d\n%s", code, out)
	}
	for _, b := range breaches {
		t.Run(b.fault, func(t *testing.T) {
			if b.fault == "namespace time" && !o.hasTime() {
				t.Skip("needs time namespaces of Linux 6.3")
			}
			if abi, err := layer.LandlockABI(); strings.HasPrefix(b.fault, "landlock") && (err != nil || b.fault == "landlock without scopes" && abi < 6) {
				t.Skipf("needs Landlock, and for scopes its ABI 6: here it is %d, %v", abi, err)
			}
			o.refused(t, b)
		})
	}
}

// TestBrokenGroupIsRefused changes each limit of the control group, and takes
// init out of each hierarchy.
func TestBrokenGroupIsRefused(t *testing.T) {
	o := newOwner(t)
	n := 0
	for ; n < 50; n++ {
		name := fmt.Sprintf("group %d", n)
		out, _ := o.faulty(name)
		if strings.Contains(out, "nothing more to loosen") {
			break
		}
		o.refused(t, breach{name, "limits, "})
	}
	if n == 0 {
		t.Skip("needs control groups for this user")
	}
	t.Logf("%d limits and memberships", n)
}

func (o owner) refused(t *testing.T, b breach) {
	t.Helper()
	out, code := o.faulty(b.fault)
	named := slices.ContainsFunc(strings.Split(b.named, "|"), func(s string) bool { return strings.Contains(out, s) })
	if code != 125 || strings.Contains(out, "it ran\n") || !named || strings.Contains(out, "fault itself") {
		t.Errorf("%s: ended with %d, and must be refused with %q:\n%s", b.fault, code, b.named, out)
	}
	t.Logf("%s", strings.SplitN(out, "\n", 2)[0])
}

// owner is somebody with a home, a folder to grant, and an agent without a
// loopback.
type owner struct{ home, folder, manifest, policy string }

func newOwner(t *testing.T) owner {
	t.Helper()
	o := owner{home: programs.Home(t)}
	o.folder = filepath.Join(o.home, "project")
	for _, name := range []string{".git/hooks", "deep"} {
		if err := os.MkdirAll(filepath.Join(o.folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".env", ".git/config", "deep/id_rsa"} {
		if err := os.WriteFile(filepath.Join(o.folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.manifest, o.policy = filepath.Join(o.home, "agent.yaml"), filepath.Join(o.home, "policy.yaml")
	for file, content := range map[string]string{
		o.manifest: "version: 1\nname: a\ncommand: [echo, it ran]\nloopback: false\n", o.policy: "version: 1\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// faulty runs something with a layer broken.
func (o owner) faulty(fault string) (out string, code int) {
	args := append([]string{"run", "-q"}, programs.Tiers()...)
	if fault == "loopback up" {
		args = append(args, "--policy", o.policy, "--agent", o.manifest)
	} else {
		args = append(args, "--files", o.folder+":write", "--", "echo", "it ran")
	}
	cmd := exec.Command(filepath.Join(faulty, "nacre"), args...)
	cmd.Env = append(o.env(), "NACREFAULT="+fault)
	// An owner's session keyring, if this process has none. It is the thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _ = unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	b, _ := cmd.CombinedOutput()
	return string(b), cmd.ProcessState.ExitCode()
}

func (o owner) env() []string {
	return []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
}

// hasTime tells whether sandboxes have a clock of their own here.
func (o owner) hasTime() bool {
	cmd := exec.Command(filepath.Join(sound, "nacre"), append(append([]string{"run", "-q"}, programs.Tiers()...), "--", "readlink", "/proc/self/ns/time")...)
	cmd.Env = o.env()
	out, _ := cmd.Output()
	ours, _ := os.Readlink("/proc/self/ns/time")
	return strings.TrimSpace(string(out)) != ours
}
