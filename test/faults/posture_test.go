package faults

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/test/programs"
)

// layers are what a posture tells of.
var layers = []string{"capabilities", "descriptors", "environment", "identity", "landlock", "limits", "mounts", "namespaces", "network", "seccomp"}

// TestPostureOfARunningSandbox: nacre posture prints, for each item of each
// layer, what is expected and what is found, as a table and as JSON; and it sees
// what somebody changes later.
func TestPostureOfARunningSandbox(t *testing.T) {
	o := newOwner(t)
	name := "posture-" + filepath.Base(o.home) + "-" + time.Now().Format("150405.000")
	name = strings.ReplaceAll(name, ".", "-")
	run := o.nacre(append(append([]string{"run", "-q", "--name", name}, programs.Tiers()...), "--files", o.folder+":write", "--", "sleep", "60")...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.nacre("stop", name).Run(); _ = run.Wait() }()
	var table []byte
	var err error
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if table, err = o.nacre("posture", name).Output(); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, table)
	}
	out, err := o.nacre("posture", "--json", name).Output()
	var lines []nacre.Expectation
	if err != nil || json.Unmarshal(out, &lines) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		seen[l.Layer] = true
		if !l.OK || l.Expected == "" || l.Found == "" || !strings.Contains(string(table), l.Item) {
			t.Errorf("%+v", l)
		}
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, layers) {
		t.Errorf("layers %q, want %q", got, layers)
	}
	if rows := strings.Count(string(table), "\n"); rows != len(lines) {
		t.Errorf("%d rows for %d lines:\n%s", rows, len(lines), table)
	}
	o.changed(t, name, lines)
}

// changed has somebody take a limit away, who may.
func (o owner) changed(t *testing.T, name string, lines []nacre.Expectation) {
	t.Helper()
	group := slices.IndexFunc(lines, func(l nacre.Expectation) bool {
		return strings.HasPrefix(l.Item, "member of ") && exists(strings.TrimPrefix(l.Item, "member of ")+"/pids.max")
	})
	if group < 0 {
		t.Log("no control group of this user's to change")
		return
	}
	file := filepath.Join(strings.TrimPrefix(lines[group].Item, "member of "), "pids.max")
	if err := os.WriteFile(file, []byte("max"), 0); err != nil {
		t.Fatal(err)
	}
	out, _ := o.nacre("posture", name).Output()
	if !slices.ContainsFunc(strings.Split(string(out), "\n"), func(row string) bool {
		return strings.Contains(row, "pids.max") && strings.HasSuffix(row, "\tno")
	}) {
		t.Errorf("a limit that is gone does not show:\n%s", out)
	}
	if err := o.nacre("posture", name).Run(); err == nil {
		t.Error("a limit that is gone is no failure")
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func (o owner) nacre(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(sound, "nacre"), args...)
	cmd.Env = o.env()
	return cmd
}
