package native

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
