package room

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// TestRoomIsTold: what is scarce is named, with how much of it there is and what to do;
// what cannot be found out refuses nothing.
func TestRoomIsTold(t *testing.T) {
	user := "Name:\tx\nUid:\t1000\t0\t0\t0\nThreads:\t20\n"
	for name, c := range map[string]struct {
		uid    int
		files  map[string]string
		limits map[int]uint64
		want   string // part of the error; empty: there is room
		hint   string
	}{
		"nothing known": {},
		"open files":    {limits: map[int]uint64{unix.RLIMIT_NOFILE: 95}, want: "may have 95 open files here, and a start takes 96", hint: "ulimit -n"},
		"files enough":  {limits: map[int]uint64{unix.RLIMIT_NOFILE: 96}},
		"memory":        {limits: map[int]uint64{unix.RLIMIT_DATA: 64 << 20}, want: "may have 65536 KiB of memory", hint: "ulimit -d"},
		"addresses":     {limits: map[int]uint64{unix.RLIMIT_AS: 1 << 20}, want: "may have 1024 KiB of addresses", hint: "ulimit -v"},
		"machine full": {files: map[string]string{"proc/loadavg": "0.1 0.2 0.3 1/990 77\n", "proc/sys/kernel/threads-max": "1000\n"},
			want: "10 more processes and threads are left on this machine, and a start takes up to 24", hint: "kernel.threads-max"},
		"machine not full": {files: map[string]string{"proc/loadavg": "0.1 0.2 0.3 1/976 77\n", "proc/sys/kernel/threads-max": "1000\n"}},
		"loadavg odd":      {files: map[string]string{"proc/loadavg": "0.1", "proc/sys/kernel/threads-max": "1"}},
		"user": {uid: 1000, limits: map[int]uint64{unix.RLIMIT_NPROC: 50},
			files: map[string]string{"proc/loadavg": "0 0 0 1/900 7", "proc/5/status": user, "proc/6/status": user, "proc/7/status": strings.Replace(user, "1000", "7", 1)},
			want:  "10 more processes and threads are left to user 1000", hint: "ulimit -u"},
		"user over": {uid: 1000, limits: map[int]uint64{unix.RLIMIT_NPROC: 30},
			files: map[string]string{"proc/loadavg": "0 0 0 1/900 7", "proc/5/status": user, "proc/6/status": user},
			want:  ": 0 more processes", hint: "ulimit -u"},
		"others' processes": {uid: 1000, limits: map[int]uint64{unix.RLIMIT_NPROC: 50},
			files: map[string]string{"proc/loadavg": "0 0 0 1/900 7", "proc/5/status": user, "proc/6/status": strings.Replace(user, "1000", "7", 1)}},
		"not counted": {uid: 1000, limits: map[int]uint64{unix.RLIMIT_NPROC: 124},
			files: map[string]string{"proc/loadavg": "0 0 0 1/100 7", "proc/5/status": strings.Replace(user, "20", "110", 1)}},
		"root is not held to it": {limits: map[int]uint64{unix.RLIMIT_NPROC: 1}, files: map[string]string{"proc/loadavg": "0 0 0 1/900 7"}},
		"group": {files: map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/pids.max": "max\n", "sys/fs/cgroup/a/pids.max": "100\n", "sys/fs/cgroup/a/pids.current": "77\n"},
			want: "23 more processes and threads are left in the control group /a,", hint: "pids.max"},
		"group with room": {files: map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/pids.max": "100\n", "sys/fs/cgroup/a/pids.current": "76\n"}},
		"v1 group": {files: map[string]string{"proc/self/cgroup": "8:pids:/a\n0::/b\n", "sys/fs/cgroup/pids/a/pids.max": "3\n", "sys/fs/cgroup/pids/a/pids.current": "3\n"},
			want: "0 more processes and threads are left in the control group /a,"},
		"v1 group, shared":      {files: map[string]string{"proc/self/cgroup": "8:misc,pids:/\n", "sys/fs/cgroup/pids/pids.max": "3\n"}, want: "3 more processes"},
		"outside its namespace": {files: map[string]string{"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/pids.max": "3\n"}, want: "the control group /,"},
	} {
		t.Run(name, func(t *testing.T) {
			m := machine{t.TempDir(), c.uid, func(r int) uint64 {
				if l, ok := c.limits[r]; ok {
					return l
				}
				return unix.RLIM_INFINITY
			}}
			for file, content := range c.files {
				path := filepath.Join(m.root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := m.check()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want == "":
			case err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.HintOf(err), c.hint) || fault.KindOf(err) != fault.Exhausted:
				t.Errorf("%v; hint: %s", err, fault.HintOf(err))
			}
		})
	}
}

// BenchmarkCheck is what each start pays for it.
func BenchmarkCheck(b *testing.B) {
	for b.Loop() {
		if err := Check(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCounting is the same where the user's processes have to be counted.
func BenchmarkCounting(b *testing.B) {
	m := machine{"/", 65534, func(r int) uint64 {
		if r == unix.RLIMIT_NPROC {
			return 1000
		}
		return unix.RLIM_INFINITY
	}}
	for b.Loop() {
		_ = m.own()
	}
}
