package cgroup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fscommon"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/limits"
)

func TestMemoryLimitKills(t *testing.T) {
	g := group(t, small)
	c := inAgent(t, g, "allocate=200")
	err := c.Wait()
	if st := c.ProcessState.Sys().(syscall.WaitStatus); err == nil || st.Signal() != syscall.SIGKILL {
		t.Fatalf("200 MiB under a limit of 64 MiB: %v", c.ProcessState)
	}
	u, err := g.Usage()
	if err != nil || u.OOMKills < 1 {
		t.Errorf("usage %+v, %v: no kill was counted", u, err)
	}
}

func TestMemoryUnderTheLimitIsLeftAlone(t *testing.T) {
	g := group(t, small)
	if got := inAgent(t, g, "allocate=24").line(); got != "allocated" {
		t.Fatalf("24 MiB under a limit of 64 MiB: %q", got)
	}
	if u, err := g.Usage(); err != nil || u.Memory < 24<<20 || u.OOMKills != 0 || u.Processes < 1 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// R6 is a finding of docs/REVIEW.md.
func TestR6LoopbackTCPIsBounded(t *testing.T) {
	g := group(t, small)
	if g.layout.Mode != V2 && !cgroups.PathExists(filepath.Join(g.dir("memory", agent), "memory.kmem.tcp.limit_in_bytes")) {
		t.Skip("needs a kernel whose memory controller counts TCP")
	}
	c := inAgent(t, g, "queue=40") // about 4 MiB each where nothing bounds them
	queued, err := strconv.Atoi(c.line())
	if g.layout.Mode == V2 && err != nil {
		return // killed, since there it is memory
	}
	if err != nil || queued == 0 || queued > 56<<20 {
		t.Errorf("%d bytes queued under a limit of 32 MiB: %v", queued, err)
	}
}

func TestProcessLimitStopsForks(t *testing.T) {
	g := group(t, small)
	var made int
	if got := inAgent(t, g, "fork=200").line(); !strings.HasPrefix(got, "refused") {
		t.Fatalf("200 forks under a limit of 32: %q", got)
	} else if fmt.Sscanf(got, "refused %d", &made); made == 0 || made >= 32 {
		t.Errorf("%q under a limit of 32", got)
	}
	if u, err := g.Usage(); err != nil || u.Processes != 32 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

func TestProcessorLimitThrottles(t *testing.T) {
	g := group(t, small)
	inAgent(t, g, "burn")
	within(t, "three throttled periods", func() bool {
		u, err := g.Usage()
		if err != nil {
			t.Fatal(err)
		}
		throttled, err := fscommon.GetValueByKey(g.dir("cpu", agent), "cpu.stat", "nr_throttled")
		return err == nil && throttled >= 3 && u.CPU > 0
	})
}

func TestKillEndsAForkStorm(t *testing.T) {
	g := group(t, small)
	inAgent(t, g, "storm")
	within(t, "the storm", func() bool { u, err := g.Usage(); return err == nil && u.Processes >= 2 })
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	for c := range g.layout.Base {
		f := g.dir(c, agent)
		if pids, err := cgroups.GetPids(f); err != nil || len(pids) > 0 {
			t.Errorf("%s: %v, %v", f, pids, err)
		}
	}
}

func TestDestroyLeavesNothing(t *testing.T) {
	g := group(t, small)
	before := inHome(t, g)
	inAgent(t, g, "sleep")
	if err := g.Destroy(); err != nil {
		t.Fatal(err)
	}
	if g.layout.Manager != "" && os.Geteuid() != 0 {
		before = nil // the scope stays until this process ends
	}
	for _, f := range before {
		within(t, f+" to go", func() bool { return !cgroups.PathExists(f) })
	}
	if cgroups.PathExists(g.dir("pids", agent)) {
		t.Error("the agent's leaf is left")
	}
}

func inHome(t *testing.T, g *Group) []string {
	t.Helper()
	for _, f := range g.state.Folders {
		if !cgroups.PathExists(f) {
			t.Fatalf("%s was not made", f)
		}
	}
	return g.state.Folders
}

func TestReadback(t *testing.T) {
	g := group(t, small)
	c := inAgent(t, g, "sleep")
	for _, e := range limits.Read(c.Process.Pid, g.Leaves(), small) {
		if !e.OK {
			t.Errorf("%+v", e)
		}
	}
	for _, e := range limits.Read(c.Process.Pid, copied(t, g), small) {
		if e.OK {
			t.Errorf("read in a copy: %+v", e)
		}
	}
	bad := 0
	if err := cgroups.WriteFile(g.dir("pids", agent), "pids.max", "77"); err != nil {
		t.Fatal(err)
	}
	for _, e := range limits.Read(os.Getpid(), g.Leaves(), small) { // which is not in the agent's leaf
		if !e.OK {
			bad++
		}
	}
	if want := 1 + len(g.state.Folders); bad < want {
		t.Errorf("%d deviations found, want at least %d", bad, want)
	}
}

// copied are leaves that look as the group's, with files that say the same.
func copied(t *testing.T, g *Group) map[string]string {
	t.Helper()
	top, leaves := t.TempDir(), map[string]string{}
	for c := range g.layout.Base {
		leaves[c] = filepath.Join(top, c, "nacre-"+g.state.ID, agent)
	}
	for _, f := range limits.Files(small, g.layout.Mode == V2) {
		dir := filepath.Join(cmp.Or(leaves[f.Controller], leaves[tree2]), "..", f.Leaf)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Value), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return leaves
}

func TestSupervisorIsChargedToTheParent(t *testing.T) {
	g := group(t, small)
	in, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for ctrl := range g.layout.Base {
		dir := g.dir(ctrl, "")
		if ctrl == "memory" || ctrl == "cpu" || g.layout.Mode == V2 && ctrl == tree2 {
			if g.layout.Mode == V2 {
				ctrl = tree2
			}
			if want := "/" + filepath.Base(dir) + "/" + supervisor; !strings.HasSuffix(in[ctrl], want) {
				t.Errorf("%q: in %s, want …%s", ctrl, in[ctrl], want)
			}
		}
	}
}

func TestSweepAfterTheOwnerWasKilled(t *testing.T) {
	need(t)
	c := start(t, "owner", nil, "NACRE_CGROUP_TEST_ID="+newID())
	c.release()
	var s State
	if err := json.Unmarshal([]byte(c.line()), &s); err != nil {
		t.Fatal(err)
	}
	if err := Remove(s); err != nil { // while it lives, too
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("the owner was left alive")
	}
	for _, f := range s.Folders {
		within(t, f+" to go", func() bool { return !cgroups.PathExists(f) })
	}
	if err := Remove(s); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestKilledOwnerLeavesOnlyWhatIsSwept(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		t.Run(fmt.Sprint("frozen:", frozen), func(t *testing.T) { killedOwner(t, frozen) })
	}
}

func killedOwner(t *testing.T, frozen bool) {
	l := need(t)
	c := start(t, "owner", nil, "NACRE_CGROUP_TEST_ID="+newID())
	c.release()
	var s State
	if err := json.Unmarshal([]byte(c.line()), &s); err != nil {
		t.Fatal(err)
	}
	if frozen {
		halt(t, &Group{state: s, layout: l})
	}
	c.Process.Kill()
	c.Wait()
	if len(s.members(agent)) == 0 {
		t.Error("the sleeper did not outlive its owner: nothing is proven")
	}
	if err := Remove(s); err != nil {
		t.Fatal(err)
	}
	if left := s.members(agent); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	for _, f := range s.Folders {
		within(t, f+" to go", func() bool { return !cgroups.PathExists(f) })
	}
}

// halt freezes the agent as the watch does, and waits until it stands still.
func halt(t *testing.T, g *Group) {
	t.Helper()
	dir, order, report, value, answer := g.Freezer(), "freezer.state", "freezer.state", "FROZEN", "FROZEN"
	switch {
	case dir == "":
		t.Skip("needs control groups that freeze")
	case g.layout.Mode == V2:
		order, report, value, answer = "cgroup.freeze", "cgroup.events", "1", "frozen 1"
	}
	if err := cgroups.WriteFile(dir, order, value); err != nil {
		t.Fatal(err)
	}
	within(t, "it to stand still", func() bool {
		now, err := cgroups.ReadFile(dir, report)
		return err == nil && strings.Contains(now, answer)
	})
}

// TestFrozenDiesBeforeItGoesOn: what is frozen runs nothing more when it is killed.
func TestFrozenDiesBeforeItGoesOn(t *testing.T) {
	for range 20 { // it would be a race
		t.Run("", func(t *testing.T) {
			quick := small
			quick.CPUs = 2
			g, name := group(t, quick), filepath.Join(t.TempDir(), "count")
			count := counter(name)
			c := start(t, "count", nil, "NACRE_CGROUP_TEST_COUNT="+name)
			if err := g.AddAgent(c.Process.Pid); err != nil {
				t.Fatal(err)
			}
			c.release()
			within(t, "it to count", func() bool { return count.Load() > 0 })
			halt(t, g)
			before := count.Load()
			if err := g.Kill(); err != nil {
				t.Fatal(err)
			}
			if after := count.Load(); after != before {
				t.Errorf("it went on from %d to %d", before, after)
			}
		})
	}
}

func TestRemoveTouchesOnlyItsOwn(t *testing.T) {
	for _, s := range []State{
		{ID: "a", Folders: []string{"/sys/fs/cgroup"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/memory"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/memory/nacre-b"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/memory/x/../nacre-a"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/../../../tmp/nacre-a"}},
		{ID: "a", Folders: []string{"/tmp/nacre-a"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/nacre-b/nacre-a"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/ssh.service"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/nacre-a.scope"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/nacre-b.scope/nacre-a"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/nacre-a.scope/nacre-b"}},
		{ID: "a", Folders: []string{"/sys/fs/cgroup/nacre-a/agent"}},
		{ID: "a", Folders: []string{"nacre-a"}}, {ID: "é"},
		{ID: "", Folders: []string{"/sys/fs/cgroup/nacre-"}},
		{ID: "../a"}, {ID: "A"}, {ID: "a/b"}, {ID: "-a"}, {ID: strings.Repeat("a", 65)},
	} {
		if err := Remove(s); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

func TestRemoveRefusesItsOwnGroup(t *testing.T) {
	g := group(t, small)
	if err := Remove(g.state); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
}

func TestLimitsThatLimitNothingAreRefused(t *testing.T) {
	for _, l := range []nacre.Limits{{}, {Memory: 1 << 30, CPUs: 1}, {Memory: 1 << 30, Processes: 1}, {CPUs: 1, Processes: 1},
		{Memory: -1, CPUs: 1, Processes: 1}, {Memory: 1 << 62, CPUs: 1, Processes: 1}} {
		if g, err := New(context.Background(), newID(), l); fault.KindOf(err) != fault.Invalid || g != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// TestDisksAreOthersFirst: a scope has a lower weight than what else runs.
func TestDisksAreOthersFirst(t *testing.T) {
	g := group(t, small)
	scope := filepath.Dir(g.dir(tree2, ""))
	if g.layout.Manager == "" || !cgroups.PathExists(filepath.Join(scope, "io.weight")) {
		t.Skip("needs systemd with the io controller, and a kernel with weights")
	}
	if got, err := cgroups.ReadFile(scope, "io.weight"); err != nil || strings.TrimSpace(got) != "default 20" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSameNameTwice(t *testing.T) {
	g := group(t, small)
	if _, err := New(context.Background(), g.state.ID, small); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
	for c := range g.layout.Base {
		if f := g.dir(c, agent); !cgroups.PathExists(f) {
			t.Errorf("%s went with the refused one", f)
		}
	}
}

func TestWithoutGroupsIsUnsupported(t *testing.T) {
	l := Detect()
	want := l.Problem()
	if want == nil {
		t.Skip("needs a user who cannot have groups")
	}
	_, err := New(context.Background(), newID(), small)
	if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), want.Error()) {
		t.Errorf("got %v", err)
	}
	var f *fault.Fault
	if !errors.As(err, &f) || !strings.Contains(f.Hint, string(nacre.TierWatchdog)) {
		t.Errorf("no remedy: %v", err)
	}
}

func TestProblems(t *testing.T) {
	all, missing := needed[:], []string{"memory", "cpu"}
	for name, c := range map[string]struct {
		l    Layout
		want string
	}{
		"nothing":  {Layout{}, "no control groups"},
		"no pids":  {Layout{Mode: V1, Controllers: missing}, "no pids controller"},
		"readonly": {Layout{Mode: V1, Controllers: all, Base: map[string]string{"memory": "/proc/nothing"}}, "can be made in /proc/nothing"},
		"scope":    {Layout{Mode: V2, Controllers: all, Base: map[string]string{tree2: "/proc/nothing"}, Manager: "/x"}, ""},
		"slice":    {Layout{Mode: V2, Controllers: missing, Manager: "/x"}, "pids controller"},
	} {
		if got := fmt.Sprint(c.l.Problem()); (c.want == "") != (got == "<nil>") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestOneTreeOfTwo: where cpu and cpuacct are one tree, as systemd mounts them, the
// supervisor has one place there, its leaf: not by chance the one of cpuacct.
func TestOneTreeOfTwo(t *testing.T) {
	g := &Group{state: State{ID: "x"}, layout: Layout{Mode: V1, Base: map[string]string{
		"memory": "/m", "pids": "/p", "cpu": "/c", "cpuacct": "/c",
	}}}
	for back, want := range map[bool]map[string]string{
		false: {"memory": "/m/nacre-x/" + supervisor, "pids": "/p", "cpu": "/c/nacre-x/" + supervisor},
		true:  {"memory": "/m", "pids": "/p", "cpu": "/c"},
	} {
		if trees := g.v1(back); !maps.Equal(trees, want) {
			t.Errorf("back %v: %v, not %v", back, trees, want)
		}
	}
}

func TestOutside(t *testing.T) {
	for in, want := range map[string]string{"/": "/", "/a/b": "/a/b", "/nacre-x/supervisor": "/", "/a/nacre-x.scope/agent": "/a", "": "/"} {
		if got := outside(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// BenchmarkGroup is what the limits cost a sandbox in all, and its parts.
func BenchmarkGroup(b *testing.B) {
	need(b)
	var made, added, gone, delegated time.Duration
	for b.Loop() {
		begin := time.Now()
		g, err := New(context.Background(), newID(), small)
		if err != nil {
			b.Fatal(err)
		}
		made += time.Since(begin)
		b.StopTimer()
		c := start(b, "sleep", nil)
		time.Sleep(5 * time.Millisecond) // it has started by then
		b.StartTimer()
		begin = time.Now()
		if err := g.AddAgent(c.Process.Pid); err != nil {
			b.Fatal(err)
		}
		added += time.Since(begin)
		b.StopTimer()
		c.Process.Kill()
		c.Wait()
		delegated += g.Delegation
		b.StartTimer()
		begin = time.Now()
		if err := g.Destroy(); err != nil {
			b.Fatal(err)
		}
		gone += time.Since(begin)
	}
	for name, d := range map[string]time.Duration{"new": made, "add": added, "destroy": gone, "delegation": delegated} {
		b.ReportMetric(float64(d.Microseconds())/float64(b.N), name+"-µs")
	}
}

func BenchmarkUsage(b *testing.B) {
	g := group(b, small)
	for b.Loop() {
		if _, err := g.Usage(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhoIsWhere: all threads of this process are in the supervisor's leaf, what
// is started by Born is in the agent's, and in the end all are where they were.
func TestWhoIsWhere(t *testing.T) {
	need(t)
	home := threads(t)
	g, err := New(context.Background(), newID(), small)
	if err != nil {
		t.Fatal(err)
	}
	leaf := "/nacre-" + g.state.ID + "/"
	settled := func(when string) {
		t.Helper()
		for tid, in := range threads(t) {
			for c, path := range in {
				if strings.HasSuffix(path+"/", leaf) || strings.HasSuffix(path, leaf+agent) || !strings.HasSuffix(path, leaf+supervisor) && g.layout.Mode != V2 && shared(c) {
					t.Errorf("%s thread %s is in %s:%s", when, tid, c, path)
				}
			}
		}
	}
	if err := g.Beside(func(int) error { return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("a start that failed: %v", err)
	}
	if g.layout.Mode != V2 {
		for tid, in := range threads(t) {
			if was, known := home[tid]; known && !maps.Equal(in, was) {
				t.Errorf("after Beside thread %s was in %v, is in %v", tid, was, in)
			}
		}
	}
	var beside, c child
	into := func(c *child) func(int) error {
		return func(v2 int) error {
			*c = start(t, "sleep", &syscall.SysProcAttr{UseCgroupFD: v2 >= 0, CgroupFD: v2})
			return nil
		}
	}
	if err := g.Beside(into(&beside)); err != nil {
		t.Fatal(err)
	}
	another, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	other := make(chan error)
	go func() { // before, while, or after: whoever starts it ends where all threads are
		other <- g.Beside(func(v2 int) error {
			c := exec.Command(another)
			c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: v2 >= 0, CgroupFD: v2}
			return c.Run()
		})
	}()
	if err := errors.Join(g.Born(into(&c)), <-other); err != nil {
		t.Fatal(err)
	}
	in, err := cgroups.ParseCgroupFile(fmt.Sprintf("/proc/%d/cgroup", beside.Process.Pid))
	for c := range g.layout.Base {
		if err != nil || (g.layout.Mode == V2 || shared(c)) && !strings.HasSuffix(in[c], leaf+supervisor) {
			t.Errorf("what is started beside is in %s:%s, %v", c, in[c], err)
		}
	}
	if err := g.Settled(); err != nil {
		t.Error(err)
	}
	settled("after Born")
	for _, x := range limits.Read(c.Process.Pid, g.Leaves(), small) {
		if !x.OK {
			t.Errorf("%s: expected %s, found %s", x.Item, x.Expected, x.Found)
		}
	}
	if err := g.Born(func(int) error { return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("a start that failed: %v", err)
	}
	settled("after a failure")
	if err := g.Destroy(); err != nil {
		t.Fatal(err)
	}
	if g.layout.Manager != "" {
		return // systemd's scope stays until this process ends
	}
	for tid, in := range threads(t) {
		if was, known := home[tid]; known && !maps.Equal(in, was) {
			t.Errorf("thread %s was in %v, is in %v", tid, was, in)
		}
	}
}

// threads are the groups of each of this process's threads.
func threads(t *testing.T) map[string]map[string]string {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, e := range list {
		if in, err := cgroups.ParseCgroupFile("/proc/self/task/" + e.Name() + "/cgroup"); err == nil {
			all[e.Name()] = in
		}
	}
	return all
}
