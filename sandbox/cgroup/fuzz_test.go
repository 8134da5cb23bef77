package cgroup

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzState: what a record says of groups is no reason to touch anything but
// this sandbox's own.
func FuzzState(f *testing.F) {
	for _, dir := range []string{root + "/nacre-abc", root + "/memory/x/nacre-abc", root + "/a.slice/nacre-abc.scope/nacre-abc", root, "/nacre-abc",
		root + "/nacre-abc/../../x/nacre-abc", root + "/nacre-x/nacre-abc", root + "/nacre-abc/", "/home/nacre-abc", root + "//nacre-abc"} {
		f.Add("abc", dir)
	}
	f.Add("..", root+"/nacre-..")
	f.Add("", root+"/nacre-")
	f.Fuzz(func(t *testing.T, id, dir string) {
		if (State{ID: id, Folders: []string{dir}}).check() != nil {
			return
		}
		below, ok := strings.CutPrefix(dir, root+"/")
		if !ok || filepath.Clean(dir) != dir || filepath.Base(below) != "nacre-"+id || id == "" || strings.ContainsAny(id, "/.") ||
			strings.Contains("/"+strings.TrimSuffix(strings.TrimSuffix(below, "nacre-"+id), "nacre-"+id+".scope/"), "/nacre-") {
			t.Errorf("%q in %q", id, dir)
		}
	})
}
