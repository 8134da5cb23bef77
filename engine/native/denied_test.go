package native

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/denials"
	"nacre/runs"
)

// loadFilter loads a system call filter into the calling thread, or all.
func loadFilter(program []unix.SockFilter, flags uintptr) (uintptr, unix.Errno) {
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&p)))
	return fd, e
}

// flooded is how many calls a flood makes; $NACRE_TEST_FLOOD sets another.
func flooded() int {
	if n, err := strconv.Atoi(os.Getenv("NACRE_TEST_FLOOD")); err == nil {
		return n
	}
	return 80_000
}

// judged is what came of an agent.
type judged struct {
	exit   nacre.Exit
	out    string
	list   []denials.Denial
	silent string
	audit  []nacre.Event // of denied calls
}

// judge runs an agent and looks at what was counted and recorded.
func judge(t *testing.T, p nacre.Plan) judged {
	t.Helper()
	e, a := newEngine(t)
	var out buffer
	sandbox, err := e.Start(t.Context(), p, nacre.Streams{Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	j := judged{}
	if j.exit, err = sandbox.Wait(); err != nil {
		t.Fatal(err)
	}
	j.out = out.String()
	j.list, j.silent = sandbox.(*box).Denials()
	if j.silent != "" {
		t.Fatalf("nothing is reported here: %s", j.silent)
	}
	for i, event := range a.events {
		if strings.HasPrefix(event.Kind, "syscall.") {
			j.audit = append(j.audit, event)
			if i == len(a.events)-1 {
				t.Error("a denial was recorded after the end")
			}
		}
	}
	return j
}

// of is the denials of a call.
func (j judged) of(call string) denials.Denial {
	i := slices.IndexFunc(j.list, func(d denials.Denial) bool { return d.Subject == call })
	if i < 0 {
		return denials.Denial{}
	}
	return j.list[i]
}

func longer(p nacre.Plan) nacre.Plan {
	p.Limits.Time = 10 * time.Minute
	p.Digest = compile.Digest(p)
	return p
}

// TestDeniedIsReported: what ordinary programs are denied has a name, a
// program and a line that would allow it; what is not denied has none.
func TestDeniedIsReported(t *testing.T) {
	j := judge(t, planOf(t, "sh", "-c", "unshare -U true; cat /dev/null; unshare -U true; true"))
	d := j.of("unshare")
	if len(j.list) != 1 || d.Count != 2 || !slices.Equal(d.Programs, []string{"/usr/bin/unshare"}) || d.More ||
		d.Remedy != "syscalls: [nested-sandbox]" || d.Rule != "syscalls.base.unshare" {
		t.Errorf("%+v", j.list)
	}
	if len(j.audit) != 2 || j.audit[0].Kind != "syscall.denied" || j.audit[0].Detail["call"] != "unshare" || j.audit[0].Detail["program"] != "/usr/bin/unshare" ||
		j.audit[1].Kind != "syscall.denials" || j.audit[1].Detail["unshare (syscalls: [nested-sandbox])"] != "2" || j.audit[0].Decision != nacre.Deny {
		t.Errorf("%+v", j.audit)
	}
	if j := judge(t, planOf(t, "sh", "-c", "ls -lR /etc >/dev/null; id; cat /proc/self/status | sort | head -3")); len(j.list)+len(j.audit) != 0 {
		t.Errorf("honest programs: %+v", j.list)
	}
}

// TestFlood: a flood of denied calls ends, writes two records, and is counted
// to the last one.
func TestFlood(t *testing.T) {
	p := longer(agent(t, "flood"))
	p.Environment = append(p.Environment, nacre.Variable{Name: "NACRE_TEST_FLOOD", Value: strconv.Itoa(flooded())})
	p.Digest = compile.Digest(p)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	j := judge(t, p)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if j.exit.Code != 0 || j.out != "all denied\n" {
		t.Errorf("%+v %s", j.exit, j.out)
	}
	if got := j.of("bpf").Count; got < uint64(flooded()) { // more where a signal made the kernel ask again
		t.Errorf("%d calls counted of %d", got, flooded())
	}
	if len(j.audit) > 3+int(time.Hour/time.Minute) {
		t.Errorf("%d records", len(j.audit))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d bytes are kept of a flood", grown)
	}
}

// TestFloodIsCharged: the one who answers is in the sandbox's own control
// group, under its limits.
func TestFloodIsCharged(t *testing.T) {
	e, _ := newEngine(t)
	sandbox, err := e.Start(t.Context(), longer(agent(t, "endless")), nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sandbox.Stop(0)
		_, _ = sandbox.Wait()
	}()
	b := sandbox.(*box)
	if lines, err := b.Posture(); err != nil || !slices.ContainsFunc(lines, func(l nacre.Expectation) bool {
		return l.Item == "denials reported" && l.Found == "by name" && l.OK
	}) {
		t.Errorf("%v, %+v", err, lines)
	}
	if b.group == nil {
		t.Skip("needs control groups: without them nothing outside is charged to the sandbox")
	}
	supervisor, agent := groupsOf(t, os.Getpid()), groupsOf(t, b.PID())
	for _, controller := range []string{"cpu", "memory"} {
		of := func(groups map[string]string) string {
			if path, ok := groups[controller]; ok {
				return path
			}
			return groups[""] // v2
		}
		if parent := filepath.Dir(of(supervisor)); parent != filepath.Dir(of(agent)) || filepath.Base(parent) != "nacre-"+b.ID() {
			t.Errorf("%s: the supervisor is in %s, the agent in %s", controller, of(supervisor), of(agent))
		}
	}
}

// groupsOf are the control groups of a process, by controller.
func groupsOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		for controller := range strings.SplitSeq(f[1], ",") {
			groups[controller] = f[2]
		}
	}
	return groups
}

// TestDeniedCallers: callers that die, that hold up a vfork, that have names
// made to be misread, or that would rather answer themselves.
func TestDeniedCallers(t *testing.T) {
	for name, last := range map[string]string{"die": "operation not permitted\n", "vfork": "all denied\n", "listen": "all denied\n"} {
		t.Run(name, func(t *testing.T) {
			j := judge(t, longer(agent(t, name)))
			if j.exit.Code != 0 || j.out != last {
				t.Errorf("%+v %s", j.exit, j.out)
			}
			call := map[string]string{"die": "bpf", "vfork": "chroot", "listen": "seccomp"}[name]
			if j.of(call).Count == 0 {
				t.Errorf("%s is not among %+v", call, j.list)
			}
		})
	}
}

// TestDeniedNames: a hostile program's names are kept as they are, and few.
func TestDeniedNames(t *testing.T) {
	j := judge(t, longer(agent(t, "names")))
	if j.exit.Code != 0 || j.out != "all denied\n" {
		t.Fatalf("%+v %s", j.exit, j.out)
	}
	d := j.of("bpf")
	if int(d.Count) != len(hostile)+many || !d.More || len(d.Programs) > 8 || d.Programs[0] != "/tmp/"+hostile[0] {
		t.Errorf("%+v", d)
	}
	if len(j.audit) > 10 {
		t.Errorf("%d records of %d names", len(j.audit), d.Count)
	}
}

// TestEndInAFlood: the end does not wait for calls that are pending, and
// nothing of ours goes on.
func TestEndInAFlood(t *testing.T) {
	before := runtime.NumGoroutine()
	flooded := 0
	for limit := 200 * time.Millisecond; flooded < 5; limit *= 2 { // a busy machine takes longer to begin
		p := agent(t, "endless")
		p.Limits.Time, p.Limits.CPUs = limit, 16 // so that no watchdog ends it for its processor time
		p.Digest = compile.Digest(p)
		j := judge(t, p)
		if j.exit.Reason != "timeout" || limit > time.Minute {
			t.Fatalf("%+v, %+v", j.exit, j.list)
		}
		if j.of("bpf").Count > 0 {
			flooded, limit = flooded+1, 100*time.Millisecond
		}
	}
	for range 200 { // others have to notice their end
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// TestSuperviseDenied is not a test: it is a supervisor for the two below.
func TestSuperviseDenied(t *testing.T) {
	dir, name, _ := strings.Cut(os.Getenv("NACRE_TEST_DENIED"), "\n")
	if name == "" {
		return
	}
	if name == "once" { // another supervisor around this one: the kernel has only one for each process
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		allow := []unix.SockFilter{{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}}
		if _, e := loadFilter(allow, unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH); e != 0 {
			t.Fatal(e)
		}
	}
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Init: initPath, Runs: store, Audit: &memoryAudit{}}
	var out buffer
	p := longer(agent(t, name))
	sandbox, err := e.Start(context.Background(), p, nacre.Streams{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	lines, _ := sandbox.Posture()
	_, _ = sandbox.Wait()
	list, silent := sandbox.(*box).Denials()
	fmt.Printf("said %q, listed %d, silent %q\n", out.String(), len(list), silent)
	for _, l := range lines {
		if l.Item == "denials reported" {
			fmt.Println("found", l.Found)
		}
	}
}

func supervised(t *testing.T, name string) (*exec.Cmd, string) {
	dir := t.TempDir()
	c := exec.Command("/proc/self/exe", "-test.run=^TestSuperviseDenied$")
	c.Env = append(os.Environ(), "NACRE_TEST_DENIED="+dir+"\n"+name, "NACRE_INIT="+initPath, "TMPDIR="+dir)
	return c, dir
}

// TestNoListener: where something around us has the only listener that there
// can be, the same is denied with the same answer, and it is said that it
// cannot be told.
func TestNoListener(t *testing.T) {
	c, _ := supervised(t, "once")
	out, err := c.CombinedOutput()
	const want = `said "operation not permitted\n", listed 0, silent "device or resource busy"` + "\nfound device or resource busy"
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestKilledInAFlood: a supervisor that is killed takes the flood with it.
func TestKilledInAFlood(t *testing.T) {
	c, dir := supervised(t, "endless")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	flooding := func() bool { return len(floods(t, dir)) > 0 }
	for n := 0; !flooding() && n < 1000; n++ {
		time.Sleep(10 * time.Millisecond)
	}
	if !flooding() {
		t.Error("there is no flood")
	}
	ours := map[string]bool{}
	registered(t, store, ours)
	_ = c.Process.Kill()
	_ = c.Wait()
	for n := 0; flooding() && n < 1000; n++ {
		time.Sleep(10 * time.Millisecond)
	}
	if flooding() {
		t.Error("the flood goes on")
	}
	if _, err := store.Sweep(); err != nil {
		t.Error(err)
	}
	if left := leftovers(t, store, ours); len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}

// floods are the endless agents that were granted something of a folder.
func floods(t *testing.T, dir string) (pids []string) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range all {
		if b, err := os.ReadFile(p); err == nil && bytes.Contains(b, []byte(agentWord+"\x00endless")) {
			if info, err := os.ReadFile(filepath.Join(filepath.Dir(p), "mountinfo")); err == nil && bytes.Contains(info, []byte(filepath.Base(filepath.Dir(dir)))) {
				pids = append(pids, p)
			}
		}
	}
	return pids
}

// BenchmarkDenied measures, inside, the round trip of a denied call beside one
// that is refused without a report and one that is allowed.
func BenchmarkDenied(b *testing.B) {
	var sum [3]int
	n := 0
	for b.Loop() {
		e, _ := newEngine(b)
		var out buffer
		sandbox, err := e.Start(b.Context(), longer(agent(b, "measure")), nacre.Streams{Out: &out})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := sandbox.Wait(); err != nil {
			b.Fatal(err)
		}
		var found [3]int
		if _, err := fmt.Sscan(out.String(), &found[0], &found[1], &found[2]); err != nil {
			b.Fatal(err)
		}
		for i := range sum {
			sum[i] += found[i]
		}
		n++
	}
	for i, name := range []string{"reported", "unreported", "allowed"} {
		b.ReportMetric(float64(sum[i])/float64(n), name+"-ns/call")
	}
}
