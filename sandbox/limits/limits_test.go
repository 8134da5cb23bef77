package limits

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"nacre"
)

var some = nacre.Limits{Memory: 64<<20 + 1, CPUs: 0.25, Processes: 32}

// TestReadBelievesNoCopy: files that say the right things are no limits where
// they are nobody's but ours.
func TestReadBelievesNoCopy(t *testing.T) {
	for _, tree := range [][]string{{""}, {"memory", "cpu", "pids"}} {
		top, leaves := t.TempDir(), map[string]string{}
		for _, c := range tree {
			leaves[c] = filepath.Join(top, c, "nacre-0", Agent)
			write(t, filepath.Join(leaves[c], "cgroup.procs"), strconv.Itoa(os.Getpid()))
		}
		for _, f := range Files(some, tree[0] == "") {
			dir := filepath.Dir(leaves[""])
			if tree[0] != "" {
				dir = filepath.Dir(leaves[f.Controller])
			}
			write(t, filepath.Join(dir, f.Leaf, f.Name), f.Value)
		}
		list := Read(os.Getpid(), leaves, some)
		for _, e := range list {
			if e.OK {
				t.Errorf("%q: %+v", tree, e)
			}
		}
		if want := len(Files(some, tree[0] == "")) + len(tree); len(list) != want {
			t.Errorf("%q: %d lines, want %d", tree, len(list), want)
		}
	}
}

// TestReadMissesWhatIsMissing: without a group, every limit is one that does
// not hold.
func TestReadMissesWhatIsMissing(t *testing.T) {
	for _, leaves := range []map[string]string{nil, {"freezer": "/sys"}, {"": "/nowhere"}, {"memory": "/proc", "cpu": "/proc", "pids": "/proc"}} {
		list := Read(os.Getpid(), leaves, some)
		for _, e := range list {
			if e.OK && e.Item != Agent+"/memory.kmem.tcp.limit_in_bytes" && !strings.Contains(e.Item, "sw") {
				t.Errorf("%v: %+v", leaves, e)
			}
		}
		if len(list) < 7 {
			t.Errorf("%v: only %+v", leaves, list)
		}
	}
}

// TestFiles: memory is what the kernel makes of it, and the group has more than
// its agent, the leaf after the group.
func TestFiles(t *testing.T) {
	for v2, want := range map[bool]string{
		false: "memory.limit_in_bytes 335544320, cpu.cfs_quota_us 35000, agent/memory.limit_in_bytes 67108864, agent/cpu.cfs_quota_us 25000, " +
			"agent/pids.max 32, agent/memory.kmem.tcp.limit_in_bytes 33554432",
		true: "memory.max 335544320, cpu.max 35000 100000, agent/memory.max 67108864, agent/cpu.max 25000 100000, " +
			"agent/pids.max 32, agent/memory.oom.group 1",
	} {
		var got []string
		for _, f := range Files(some, v2) {
			if !strings.Contains(f.Name, "sw") {
				got = append(got, filepath.Join(f.Leaf, f.Name)+" "+f.Value)
			}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("v2 %v:\n%s, want\n%s", v2, s, want)
		}
	}
}

// TestNothingIsUnlimited: the kernel takes -1 for no limit. What is less than nothing is
// the least that there is, or a number that no kernel takes.
func TestNothingIsUnlimited(t *testing.T) {
	for _, cpus := range []float64{-1, -0.00001, 0, math.NaN(), math.Inf(-1), math.Inf(1)} {
		for _, v2 := range []bool{false, true} {
			for _, f := range Files(nacre.Limits{Memory: -1, CPUs: cpus, Processes: -2}, v2) {
				if strings.HasPrefix(f.Value, "-1") || f.Controller == "cpu" && strings.HasPrefix(f.Value, "-") {
					t.Errorf("%v cpus: %+v", cpus, f)
				}
			}
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
