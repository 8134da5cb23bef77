package native

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/runs"
	"nacre/sandbox"
	"nacre/sandbox/layer"
	"nacre/sandbox/spawn"
)

// memoryAudit keeps events for tests.
type memoryAudit struct {
	mu     sync.Mutex
	events []nacre.Event
	fail   error
	hook   func(nacre.Event) // called while it records
}

func (a *memoryAudit) Record(_ context.Context, e nacre.Event) error {
	if a.hook != nil {
		a.hook(e)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return a.fail
	}
	a.events = append(a.events, e)
	return nil
}

// buffer collects what several streams write at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var initPath string

// TestMain builds nacre-init, unless $NACRE_INIT names one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == agentWord {
		os.Exit(agents[os.Args[2]]())
	}
	if initPath = os.Getenv("NACRE_INIT"); initPath != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "nacre-test")
	if err != nil {
		panic(err)
	}
	initPath = filepath.Join(dir, "nacre-init")
	build := exec.Command("go", "build", "-o", initPath, "nacre/cmd/nacre-init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// accepted are the tiers that tests accept: those in $NACRE_TEST_ACCEPT, else
// whatever this machine and user lack.
func accepted() (tiers []nacre.Tier) {
	if list, set := os.LookupEnv("NACRE_TEST_ACCEPT"); set {
		for _, name := range strings.Fields(list) {
			tiers = append(tiers, nacre.Tier(name))
		}
		return tiers
	}
	if os.Geteuid() != 0 {
		tiers = append(tiers, nacre.TierWatchdog, nacre.TierOwnerUID)
	}
	if abi, err := layer.LandlockABI(); err != nil {
		tiers = append(tiers, nacre.TierNoLandlock)
	} else if abi < 6 {
		tiers = append(tiers, nacre.TierOldLandlock)
	}
	return tiers
}

func newEngine(t testing.TB) (*Engine, *memoryAudit) {
	t.Helper()
	store, err := runs.Open(os.Geteuid(), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	a := &memoryAudit{}
	return &Engine{Init: initPath, Runs: store, Audit: a}, a
}

func planOf(t testing.TB, command ...string) nacre.Plan {
	t.Helper()
	p := nacre.Plan{
		Version: 1, Command: command, Workdir: "/home/agent",
		Image:    nacre.Image{Kind: nacre.ImageHost},
		Identity: nacre.Identity{UID: 1000, Hostname: "box"},
		Loopback: true,
		Limits: nacre.Limits{Memory: 256 << 20, CPUs: 1, Processes: 128, OpenFiles: 256,
			Disk: 64 << 20, Output: 1 << 20, Time: 20 * time.Second},
		Environment: []nacre.Variable{{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"}, {Name: "HOME", Value: "/home/agent"}},
	}
	p.Accepted = accepted()
	p.Digest = compile.Digest(p)
	return p
}

func runPlan(t *testing.T, p nacre.Plan) (nacre.Exit, string) {
	t.Helper()
	e, _ := newEngine(t)
	var out buffer
	box, err := e.Start(context.Background(), p, nacre.Streams{Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := box.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return exit, out.String()
}

func TestRun(t *testing.T) {
	exit, out := runPlan(t, planOf(t, "sh", "-c", "id -u; echo $HOME; pwd; exit 7"))
	if exit.Code != 7 || exit.Reason != "exited" {
		t.Errorf("exit %+v", exit)
	}
	if want := "1000\n/home/agent\n/home/agent\n"; out != want {
		t.Errorf("output %q, want %q", out, want)
	}
}

func TestStatus(t *testing.T) {
	_, out := runPlan(t, planOf(t, "cat", "/proc/self/status", "/proc/1/comm"))
	for _, want := range []string{"\nnacre-init\n", "NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000", "CapEff:\t0000000000000000"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q", want)
		}
	}
}

// TestUptime: how long the host is up identifies it.
func TestUptime(t *testing.T) {
	var major, minor int
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	if _, err := fmt.Sscanf(string(release), "%d.%d", &major, &minor); err != nil || major < 6 || major == 6 && minor < 3 {
		t.Skipf("needs Linux 6.3, to be in a time namespace after execve; this is %s", release)
	}
	_, out := runPlan(t, planOf(t, "cat", "/proc/uptime"))
	if up, err := strconv.ParseFloat(strings.Fields(out + " x")[0], 64); err != nil || up > 60 {
		t.Errorf("the sandbox is up for %q seconds", out)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name, script, reason string
		change               func(*nacre.Plan)
	}{
		{"time", "sleep 60", "timeout", func(p *nacre.Plan) { p.Limits.Time = 300 * time.Millisecond }},
		{"time, signals ignored", "trap '' TERM; while :; do sleep 1; done", "timeout", func(p *nacre.Plan) { p.Limits.Time = 300 * time.Millisecond }},
		{"output", "yes", "output-limit", nil},
		{"memory", "head -c 2000M /dev/zero | tail -c 2000M | wc -c", "", nil},
		{"processes", "for i in $(seq 300); do sleep 30 & done 2>/dev/null; echo alive", "", nil},
		{"disk", "head -c 100M /dev/zero > /tmp/a; stat -c %s /tmp/a; head -c 100M /dev/zero > /dev/shm/b", "", nil},
		{"inodes", "for i in $(seq 5000); do : > /tmp/f$i || exit 3; done 2>/dev/null", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planOf(t, "sh", "-c", c.script)
			if c.change != nil {
				c.change(&p)
			}
			exit, out := runPlan(t, p)
			t.Logf("%+v, %d bytes of output: %.60q", exit, len(out), out)
			if c.reason != "" && exit.Reason != c.reason {
				t.Errorf("ended by %q, want %q", exit.Reason, c.reason)
			}
			if int64(len(out)) > p.Limits.Output {
				t.Errorf("%d bytes of output, over the limit", len(out))
			}
			if exit.Code == 0 && c.name != "processes" && c.name != "memory" {
				t.Error("succeeded")
			}
		})
	}
}

// TestNested: without Landlock and with user namespaces allowed, all else holds.
func TestNested(t *testing.T) {
	p := planOf(t, "sh", "-c", "sleep 0.1; cat /proc/sys/user/max_user_namespaces")
	p.Syscalls = []nacre.NamedGrant{{Name: "nested-sandbox"}}
	exit, out := runPlan(t, p)
	if exit.Code != 0 || out == "0\n" || out == "" {
		t.Errorf("%+v, %q", exit, out)
	}
}

func TestExec(t *testing.T) {
	e, a := newEngine(t)
	box, err := e.Start(context.Background(), planOf(t, "sleep", "60"), nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	exit, err := box.Exec(context.Background(), []string{"sh", "-c", "grep Cap /proc/self/status; exit 3"}, nacre.Streams{Out: &out})
	if err != nil || exit.Code != 3 {
		t.Errorf("%+v, %v", exit, err)
	}
	if strings.Count(out.String(), "0000000000000000") != 5 {
		t.Errorf("capabilities: %s", &out)
	}
	if exit, err := box.Exec(context.Background(), []string{"no-such-command"}, nacre.Streams{}); err == nil {
		t.Errorf("a missing command ran: %+v", exit)
	}
	out.Reset()
	exit, err = box.Exec(context.Background(), []string{"sh", "-c", "tty; stty size; echo $$"}, nacre.Streams{TTY: true, Out: &out, Size: nacre.Window{Rows: 33, Columns: 99}})
	if err != nil || exit.Code != 0 || !strings.Contains(out.String(), "/dev/pts/0\r\n33 99") {
		t.Errorf("terminal: %+v, %v, %q", exit, err, out.String())
	}
	if err := box.Stop(time.Second); err != nil {
		t.Error(err)
	}
	if exit, err := box.Wait(); err != nil || exit.Code != 143 {
		t.Errorf("%+v, %v", exit, err)
	}
	if n := len(a.events); n < 3 {
		t.Errorf("%d events", n)
	}
}

// TestNoGroupIsNoLimit: that there is no control group is as good as one that
// holds nothing, unless the owner accepted it.
func TestNoGroupIsNoLimit(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		p := planOf(t, "true")
		p.Accepted = nil
		if accepted {
			p.Accepted = []nacre.Tier{nacre.TierWatchdog}
		}
		b := &box{plan: p, process: &sandbox.Process{Child: &spawn.Child{PID: os.Getpid()}}}
		refused := false
		for _, e := range b.bounds() {
			refused = refused || !e.OK
		}
		if refused == accepted {
			t.Errorf("accepted %v, refused %v", accepted, refused)
		}
	}
}
