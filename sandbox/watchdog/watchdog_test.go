package watchdog

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nacre"
)

// spaced starts a program as init of a pid namespace, as root or not.
func spaced(t testing.TB, what string) child {
	t.Helper()
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	c := start(t, what, attr)
	c.release()
	if got := c.line(); got != "ready" {
		t.Fatalf("init said %q", got)
	}
	return c
}

func TestWatchdog(t *testing.T) {
	ample := nacre.Limits{Memory: 1 << 30, CPUs: 10, Processes: 1000, Time: time.Minute}
	for name, c := range map[string]struct {
		plays string
		set   func(*nacre.Limits)
		want  string
	}{
		"memory":                      {"allocate=64", func(l *nacre.Limits) { l.Memory = 32 << 20 }, "memory"},
		"memory without first thread": {"threadless=64", func(l *nacre.Limits) { l.Memory = 32 << 20 }, "memory"},
		"R4 shared and not resident":  {"hold=16", func(l *nacre.Limits) { l.Memory = 64 << 20 }, "memory"},
		"processes":                   {"fork=60", func(l *nacre.Limits) { l.Processes = 40 }, "processes"},
		"fork storm":                  {"reaped storm", func(l *nacre.Limits) { l.Time = 30 * time.Millisecond }, "processor"},
		"processor":                   {"burn", func(l *nacre.Limits) { l.Time = 30 * time.Millisecond }, "processor"},
	} {
		t.Run(name, func(t *testing.T) {
			child, l, reason := spaced(t, c.plays), ample, ""
			c.set(&l)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			w := &Watchdog{Init: child.Process.Pid, Limits: l, Every: 20 * time.Millisecond,
				Kill: func(r string) { reason = r; child.Process.Kill() }}
			if err := w.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(reason, c.want) {
				t.Errorf("killed for %q, want %s; %+v", reason, c.want, w.Usage())
			}
		})
	}
}

func TestWatchdogLeavesTheModestAlone(t *testing.T) {
	c := spaced(t, "fork=8")
	c.line() // nine processes that share nearly all their memory
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	w := &Watchdog{Init: c.Process.Pid, Every: 20 * time.Millisecond, Kill: func(r string) { t.Error(r) },
		Limits: nacre.Limits{Memory: 40 << 20, CPUs: 1, Processes: 100, Time: time.Minute}}
	if err := w.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if u := w.Usage(); u.Processes < 9 || u.Memory == 0 {
		t.Errorf("%+v", u)
	}
}

// R5 of docs/REVIEW.md: a program that can be run and not read.
func TestR5UnreadableProgramIsCounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to make a program that a plain user cannot read")
	}
	dir, err := os.MkdirTemp("/tmp", "nacre-r5-") // where a plain user comes by
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, _ := os.Executable()
	for _, name := range []string{"secret", "open"} {
		if out, err := exec.Command("/bin/cp", self, dir+"/"+name).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(dir+"/secret", 0o711), os.Chmod(dir+"/open", 0o755)); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(dir+"/open", dir+"/secret")
	c.Env, c.Dir = []string{role + "=watch"}, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := c.CombinedOutput()
	if got := string(out); err != nil || !strings.Contains(got, "maps are closed") || !strings.Contains(got, "is over the limit") {
		t.Errorf("%v: %s", err, got)
	}
}

func TestWatchdogEndsWithTheSandbox(t *testing.T) {
	c := spaced(t, "sleep")
	go func() { time.Sleep(50 * time.Millisecond); c.Process.Kill() }()
	w := &Watchdog{Init: c.Process.Pid, Every: 10 * time.Millisecond, Kill: func(r string) { t.Error(r) },
		Limits: nacre.Limits{Memory: 1 << 30, CPUs: 1, Processes: 100, Time: time.Minute}}
	if err := w.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWatchdogRefusesWhatIsNoSandbox: what cannot be watched is ended, since nothing else
// bounds it; what has ended is not blamed for it.
func TestWatchdogRefusesWhatIsNoSandbox(t *testing.T) {
	ended := exec.Command("true")
	if err := ended.Start(); err != nil {
		t.Fatal(err)
	}
	defer ended.Wait() // a zombie until then
	for pid, want := range map[int]string{os.Getpid(): "it cannot be watched", 1 << 30: "", ended.Process.Pid: ""} {
		said := ""
		w := &Watchdog{Init: pid, Every: 300 * time.Millisecond, Kill: func(reason string) { said += reason }}
		if err := w.Run(t.Context()); err == nil || (said == "") != (want == "") || !strings.HasPrefix(said, want) {
			t.Errorf("process %d: %v; killed for %q, want %q", pid, err, said, want)
		}
	}
}

// FuzzStat: what is no status says nothing, and a program's name, which it chooses
// itself, changes none of the numbers behind it.
func FuzzStat(f *testing.F) {
	dir := f.TempDir()
	read := func(t *testing.T, text string) process {
		if err := os.WriteFile(dir+"/stat", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return parseStat(dir)
	}
	own, _ := os.ReadFile("/proc/self/stat")
	for _, s := range []string{string(own), "1 (a) b) S 1 2", "", ")", "1 (x) Z " + strings.Repeat("9 ", 60)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := read(t, string(b)); p.state == "" && p.threads != 0 {
			t.Errorf("%+v of what was refused", p)
		}
		_, numbers, _ := strings.Cut(string(own), ") ")
		plain, named := read(t, "7 (x) "+numbers), read(t, "7 ("+string(b)+") "+numbers)
		if plain != named || plain.state == "" {
			t.Errorf("called %q: %+v, else %+v", b, named, plain)
		}
	})
}

func BenchmarkWatchdogSample(b *testing.B) {
	c := spaced(b, "fork=8")
	c.line()
	w := &Watchdog{Init: c.Process.Pid, Limits: nacre.Limits{Memory: 1 << 50}}
	held, err := w.prepare()
	if err != nil {
		b.Fatal(err)
	}
	defer held.Close()
	for b.Loop() {
		if _, err := w.sample(); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzMaps: what a process has mapped is named by its own files. However they
// are called, the sum is that of numbers, and not below what is there.
func FuzzMaps(f *testing.F) {
	const device = "00:01"
	const real = "7f0000000000-7f0000100000 rw-s 00000000 00:01 42 /memfd:x (deleted)\n"
	f.Add("7f00-8000 rw-s 0 00:01 1 00:01 2\n", "Pss: 12 kB\nPss_Shmem: 4 kB\n")
	f.Add("ffffffffffffffff-0 rw-s ffffffffffffffff 00:01 9", "\nPss: -1\n")
	f.Add("x\n00:01\n00:01-00:01 00:01 00:01 00:01 00:01", "")
	f.Fuzz(func(t *testing.T, maps, rollup string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"maps": real + maps, "smaps_rollup": rollup} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if sum := shared(map[string]process{dir: {dir: dir}}, device); sum < 1<<20 || sum > 1<<60 {
			t.Errorf("%q: %d bytes", maps, sum)
		}
		process{dir: dir}.proportional()
	})
}

// TestEndedMeanwhile: a process that ends while it is looked at holds nothing,
// however much it had before.
func TestEndedMeanwhile(t *testing.T) {
	if all, shared := (process{dir: "/proc/0", resident: 1 << 30}).proportional(); all != 0 || shared != 0 {
		t.Errorf("%d and %d bytes of what is not there", all, shared)
	}
	self := process{dir: "/proc/self", resident: 1 << 40}
	if all, _ := self.proportional(); all == 0 || all == self.resident {
		t.Errorf("%d bytes of this process", all)
	}
}
