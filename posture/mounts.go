package posture

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"nacre/sandbox"
)

// Mount is a mount that a sandbox is to have.
type Mount struct {
	Path   string
	Write  bool // writable; else read-only
	Any    bool // it may be missing, be either, and be there several times
	Device bool // may hold device nodes
	Cover  bool // a mask or a guard, of which there may be many
}

// mounts compares every mount of the process with those that it is to have: no
// other, none missing, writable only where it should be, without setuid
// programs, without device nodes, none shared with the host.
func (r *reader) mounts(want []Mount) {
	list, err := sandbox.Mounts(filepath.Join(r.proc, "mountinfo"))
	if err != nil {
		list = []sandbox.Mount{{Path: err.Error()}}
	}
	plan, room, anywhere, top := map[string]Mount{}, map[string]int{}, map[string]bool{}, map[string][]string{}
	for _, w := range want {
		plan[w.Path] = w
		room[w.Path]++
		anywhere[w.Path] = anywhere[w.Path] || w.Any
	}
	var wrong []string
	for _, m := range list {
		top[m.Path] = m.Options
		room[m.Path]--
		for problem, is := range map[string]bool{
			"is not in the plan":          room[m.Path] < 0 && !anywhere[m.Path],
			"shares mounts with the host": m.Shared,
			"honours setuid":              !slices.Contains(m.Options, "nosuid"),
			"has device nodes":            !slices.Contains(m.Options, "nodev") && !plan[m.Path].Device,
		} {
			if is {
				wrong = append(wrong, m.Path+" "+problem)
			}
		}
	}
	const good = "in place"
	for _, w := range want {
		access, found := map[bool]string{false: "ro", true: "rw"}[w.Write], strings.Join(top[w.Path], ",")
		switch ok := slices.Contains(top[w.Path], access); {
		case w.Any || plan[w.Path] != w || w.Cover && ok:
		case w.Cover:
			wrong = append(wrong, w.Path+" is not covered: "+found)
		default:
			r.add("mounts", w.Path, access, cmp.Or(found, "not mounted"), ok)
		}
	}
	r.add("mounts", "masks, guards, all others", good, cmp.Or(strings.Join(wrong, "; "), good), len(wrong) == 0)
}
