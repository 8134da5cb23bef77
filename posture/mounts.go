package posture

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nacre/sandbox"
	"nacre/sandbox/blueprint"
)

// mounts compares every mount of the process with those that it is to have, the
// one on top last: no other but at strays, none missing, writable only where it
// should be, without setuid programs, without device nodes, none shared with the host.
func (r *reader) mounts(want []blueprint.Entry, strays []string) {
	list, err := sandbox.Mounts(filepath.Join(r.proc, "mountinfo"))
	if err != nil {
		list = []sandbox.Mount{{Path: err.Error()}}
	}
	last, room, top := map[string]int{}, map[string]int{}, map[string][]string{}
	for _, m := range list {
		top[m.Path] = m.Options
	}
	missing := func(path string) bool { _, err := os.Lstat(path); return err != nil } // in the kernel's or the system's folders
	want = slices.DeleteFunc(want, func(e blueprint.Entry) bool {
		return !e.Mounted() && !e.Over() || e.Optional && top[e.Path] == nil && missing(e.Path)
	})
	for i, w := range want {
		last[w.Path] = i
		room[w.Path]++
	}
	device := func(path string) bool { i, ok := last[path]; return ok && want[i].Device }
	var wrong []string
	problems := [...]string{" is not in the plan", " shares mounts with the host", " honours setuid", " has device nodes"}
	for _, m := range list {
		room[m.Path]--
		for i, is := range [...]bool{room[m.Path] < 0 && !slices.Contains(strays, m.Path), m.Shared,
			!slices.Contains(m.Options, "nosuid"), !slices.Contains(m.Options, "nodev") && !device(m.Path)} {
			if is {
				wrong = append(wrong, m.Path+problems[i])
			}
		}
	}
	const good = "in place"
	for i, w := range want {
		access, found := map[bool]string{false: "ro", true: "rw"}[w.Write], strings.Join(top[w.Path], ",")
		switch ok := slices.Contains(top[w.Path], access); {
		case last[w.Path] != i || w.Over() && ok:
		case w.Over():
			wrong = append(wrong, w.Path+" is not covered: "+found)
		default:
			r.add("mounts", w.Path, access, cmp.Or(found, "not mounted"), ok)
		}
	}
	r.add("mounts", "masks, guards, all others", good, cmp.Or(strings.Join(wrong, "; "), good), len(wrong) == 0)
}
