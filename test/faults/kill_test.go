package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"nacre/test/programs"
)

// TestKilled kills one of our processes at a random moment, again and again,
// and looks for what is left once the next run has swept. $NACRE_KILLS says how
// often (make kills does it a thousand times), $NACRE_SEED repeats a failure's
// choices.
//
// It works in a process of its own that adopts orphans, and as root in a mount
// namespace with an empty folder of runs, so that what others leave on this
// machine at the same time is not taken for ours.
func TestKilled(t *testing.T) {
	apart(t, "TestKiller", "NACRE_KILLER="+sound)
}

// apart has a test run in a process of its own.
func apart(t *testing.T, name, variable string) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+name+"$", "-test.v", "-test.timeout=0")
	cmd.Env = append(os.Environ(), variable)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	for _, why := range regexp.MustCompile(`(?m)^ +\S+\.go:\d+: (needs .*)$`).FindAllSubmatch(out, -1) {
		t.Run("skipped", func(t *testing.T) { t.Skipf("%s", why[1]) })
	}
}

// TestKiller is not a test: it is the process in which TestKilled works.
func TestKiller(t *testing.T) {
	bin := os.Getenv("NACRE_KILLER")
	if bin == "" {
		return
	}
	k := newKiller(t, bin)
	before := k.machine()
	defer k.appearing()()
	if k.frozen() {
		k.check(before)
	}
	start := time.Now()
	for i := range k.kills {
		k.once()
		if i%20 == 19 || i == k.kills-1 {
			k.check(before)
		}
	}
	t.Logf("%d kills in %v: %v", k.kills, time.Since(start).Round(time.Second), k.done)
}

// projects are the folders that the sandboxes are granted.
var projects = []string{"project", "project2", "project3"}

// lasting is what runs in a sandbox until it is ended; granted is a network.
const (
	lasting = `[sh, -c, "(setsid sleep 4242.1 &); sleep 4242.2"]`
	granted = "network: [{host: git.example, ports: [443]}]\n"
)

// killer kills, and knows what to look for.
type killer struct {
	*testing.T
	bin, home, runs string
	kills           int
	random          *rand.Rand
	done            map[string]int // kills by what was killed
	seen            map[string]bool
}

func newKiller(t *testing.T, bin string) *killer {
	k := &killer{T: t, bin: bin, home: programs.Home(t), kills: 60, done: map[string]int{}, seen: map[string]bool{}}
	if n, err := strconv.Atoi(os.Getenv("NACRE_KILLS")); err == nil {
		k.kills = n
	}
	seed, err := strconv.ParseUint(os.Getenv("NACRE_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("NACRE_KILLS=%d NACRE_SEED=%d", k.kills, seed)
	k.random = rand.New(rand.NewPCG(seed, 0))
	for _, name := range projects {
		if err := os.MkdirAll(filepath.Join(k.home, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{
		"agent.yaml": fmt.Sprintf("version: 1\nname: networked\ncommand: %s\n%s", lasting, granted), "policy.yaml": "version: 1\n" + granted,
	} {
		if err := os.WriteFile(filepath.Join(k.home, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k.runs = filepath.Join(k.home, ".local/state/nacre/run")
	if os.Geteuid() == 0 {
		k.runs = "/run/nacre"
		k.alone()
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if out, err := k.nacre("run", "-q", "--", "true").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return k
}

// alone gives this process a folder of runs of its own.
func (k *killer) alone() {
	if err := os.MkdirAll(k.runs, 0o700); err != nil {
		k.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		k.Fatal(err)
	}
	if err := unix.Mount("tmpfs", k.runs, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
		k.Fatal(err)
	}
}

// appearing has blocked names appear in a granted folder, so that sandboxes may
// just be masking them when they are hit. What it returns ends that.
func (k *killer) appearing() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			_ = os.WriteFile(filepath.Join(k.home, projects[0], ".env."+strconv.Itoa(i%100)), nil, 0o600)
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended }
}

// disappear removes what has appeared: before a sandbox starts, since one in whose
// folder names vanish while it is built is refused.
func (k *killer) disappear() {
	appeared, _ := filepath.Glob(filepath.Join(k.home, projects[0], ".env.*"))
	for _, name := range appeared {
		_ = os.Remove(name)
	}
}

func (k *killer) nacre(args ...string) *exec.Cmd {
	if args[0] == "run" {
		args = append(append([]string{"run"}, programs.Tiers()...), args[1:]...)
	}
	cmd := exec.Command(filepath.Join(k.bin, "nacre"), args...)
	cmd.Env = []string{"HOME=" + k.home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TMPDIR=" + k.home}
	return cmd
}

// once starts a sandbox and kills something of it, or of who uses it.
func (k *killer) once() {
	k.disappear()
	what := k.choose("supervisor", "build", "reap", "first child", "exec", "ps", "stop", "agent", "gateway")
	args := []string{"run", "-q", "--name", "target"}
	if networked := what == "gateway" || k.random.IntN(3) == 0; networked {
		args = append(args, "--agent", filepath.Join(k.home, "agent.yaml"), "--policy", filepath.Join(k.home, "policy.yaml"))
	}
	for _, name := range projects { // as root, each takes a holder
		args = append(args, "--files", filepath.Join(k.home, name)+":write")
	}
	if !slices.Contains(args, "--agent") {
		args = append(args, "--", "sh", "-c", "(setsid sleep 4242.1 &); sleep 4242.2")
	}
	run := k.nacre(args...)
	if err := run.Start(); err != nil {
		k.Fatal(err)
	}
	supervisor := run.Process.Pid
	ended := make(chan struct{})
	go func() { _ = run.Wait(); close(ended) }()
	switch what {
	case "supervisor":
		k.pause(60 * time.Millisecond)
		k.kill(supervisor, what)
	case "first child": // as root a holder
		k.kill(await(func() int { return childOf(supervisor, "") }, ended), what)
	case "gateway":
		pid := await(func() int { return childOf(supervisor, "nacre-gateway\x00") }, ended)
		k.pause(60 * time.Millisecond)
		k.kill(pid, what)
	case "build", "reap":
		pid := await(func() int { return initOf(supervisor, what) }, ended)
		k.pause(map[string]time.Duration{"build": 6, "reap": 30}[what] * time.Millisecond)
		k.kill(pid, what)
	default:
		k.client(what, supervisor, ended)
	}
	k.note()
	select {
	case <-ended:
	case <-time.After(time.Duration(k.random.IntN(100)) * time.Millisecond):
		k.note()
		k.end(supervisor, ended)
	}
	k.note()
}

// frozen kills a supervisor while its sandbox stands still, as the watch has it
// do: in v1's freezer the death of its first process has to wait for the sweep.
func (k *killer) frozen() (can bool) {
	run := k.nacre("run", "-q", "--", "sh", "-c", "(setsid sleep 4242.1 &); sleep 4242.2")
	if err := run.Start(); err != nil {
		k.Fatal(err)
	}
	supervisor, ended := run.Process.Pid, make(chan struct{})
	go func() { _ = run.Wait(); close(ended) }()
	first := await(func() int { return initOf(supervisor, "reap") }, ended)
	await(func() int { return childOf(first, "sh\x00") }, ended)
	k.note()
	in, err := cgroups.ParseCgroupFile(fmt.Sprintf("/proc/%d/cgroup", first))
	if err != nil {
		k.Fatal(err)
	}
	file, value := filepath.Join("/sys/fs/cgroup", in[""], "cgroup.freeze"), "1"
	if group, v1 := in["freezer"]; v1 {
		file, value = filepath.Join("/sys/fs/cgroup/freezer", group, "freezer.state"), "FROZEN"
	}
	can = strings.Contains(file, "/nacre-")
	if !can {
		k.Log("nothing is killed while frozen: it needs control groups that freeze")
	} else if err := os.WriteFile(file, []byte(value), 0); err != nil {
		k.Fatal(err)
	}
	k.kill(supervisor, "frozen")
	<-ended
	if value == "FROZEN" && syscall.Kill(first, 0) != nil {
		k.Error("what is frozen died by itself: nothing is proven")
	}
	return can
}

// end ends what the kill itself did not: half of the time as an owner does, else
// as a crash does.
func (k *killer) end(supervisor int, ended chan struct{}) {
	if k.random.IntN(2) == 0 {
		_ = k.nacre("stop", "target").Run()
	}
	select {
	case <-ended:
		return
	case <-time.After(50 * time.Millisecond):
	}
	_ = syscall.Kill(supervisor, syscall.SIGKILL)
	<-ended
}

// client kills a program of the owner's that talks to the sandbox, or the agent
// itself.
func (k *killer) client(what string, supervisor int, ended chan struct{}) {
	await(func() int { return initOf(supervisor, "reap") }, ended)
	var cmd *exec.Cmd
	switch what {
	case "exec":
		cmd = k.nacre("exec", "target", "--", "sleep", "4242.3")
	case "ps":
		cmd = k.nacre("ps")
	case "stop":
		cmd = k.nacre("stop", "target")
	case "agent":
		init := initOf(supervisor, "reap")
		k.kill(await(func() int { return childOf(init, "sh\x00") }, ended), what)
		return
	}
	k.pause(20 * time.Millisecond)
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	k.pause(30 * time.Millisecond)
	k.kill(cmd.Process.Pid, what)
	_ = cmd.Wait()
}

func (k *killer) choose(from ...string) string { return from[k.random.IntN(len(from))] }

func (k *killer) pause(most time.Duration) { time.Sleep(time.Duration(k.random.Int64N(int64(most)))) }

func (k *killer) kill(pid int, what string) {
	if pid <= 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
		what += " (gone already)"
	}
	k.done[what]++
}

// await repeats a question until it has an answer other than 0, a run has
// ended, or for two seconds.
func await(ask func() int, ended chan struct{}) int {
	for late := time.Now().Add(2 * time.Second); time.Now().Before(late); time.Sleep(50 * time.Microsecond) {
		select {
		case <-ended:
			return 0
		default:
		}
		if pid := ask(); pid != 0 {
			return pid
		}
	}
	return 0
}

// initOf is a supervisor's nacre-init in one of its stages.
func initOf(supervisor int, stage string) int {
	return childOf(supervisor, "nacre-init\x00"+stage+"\x00")
}

// childOf is a child with a command line, 0 without one.
func childOf(parent int, command string) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(b)) {
			line, err := os.ReadFile("/proc/" + child + "/cmdline")
			if pid, _ := strconv.Atoi(child); err == nil && parent > 0 && strings.HasPrefix(string(line), command) {
				return pid
			}
		}
	}
	return 0
}
