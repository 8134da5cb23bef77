package native

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/runs"
)

// registered notes the sandboxes that the store knows now: the groups of other
// packages' tests, which run at the same time, are not ours to judge.
func registered(t *testing.T, store *runs.Store, ours map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		ours["nacre-"+strings.TrimPrefix(e.Name(), ".")] = true
	}
}

// leftovers lists control groups and folders of ours.
func leftovers(t *testing.T, store *runs.Store, ours map[string]bool) (left []string) {
	t.Helper()
	entries, err := os.ReadDir(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "numbers" {
			left = append(left, e.Name())
		}
	}
	for _, g := range groups() {
		if ours[filepath.Base(g)] {
			left = append(left, g)
		}
	}
	return left
}

// groups are the control groups of all sandboxes on this machine.
func groups() (found []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "nacre-") {
			found = append(found, p)
		}
		return nil
	})
	return found
}

// TestLeftover: what cannot be taken away is an error, and is recorded after the end,
// which is recorded beside.
func TestLeftover(t *testing.T) {
	e, audit := newEngine(t)
	e.Registered = func(r runs.Record) error { // in the way of its folder
		return os.MkdirAll(filepath.Join(e.Runs.Dir(), "."+r.ID, "in the way"), 0o700)
	}
	box, err := e.Start(context.Background(), planOf(t, "sh", "-c", "exit 3"), nacre.Streams{})
	must(t, err)
	exit, err := box.Wait()
	if fault.KindOf(err) != fault.Leftover || exit.Code != 3 {
		t.Errorf("%+v, %v", exit, err)
	}
	var kinds []string
	events := audit.seen()
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	last := events[len(events)-1]
	if !slices.Equal(kinds, []string{"sandbox.start", "sandbox.end", "sandbox.leftover"}) || last.Detail["leftover"] != err.Error() {
		t.Errorf("recorded: %q, %+v", kinds, last)
	}
}
