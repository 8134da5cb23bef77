package posture

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"nacre/sandbox"
)

// mounts checks every mount of the process: writable only where the plan says,
// without setuid programs, and without device nodes but in /dev.
func (r *reader) mounts(e Expect) {
	var wrong []string
	list, err := sandbox.Mounts(filepath.Join(r.proc, "mountinfo"))
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	top := map[string][]string{} // options by place
	for _, m := range list {
		top[m.Path] = m.Options
		if m.Shared {
			wrong = append(wrong, m.Path+" shares mounts with the host")
		}
		if problem := e.problem(m); problem != "" {
			wrong = append(wrong, m.Path+" "+problem)
		}
	}
	expect := func(place, what, option string) {
		found := cmp.Or(strings.Join(top[place], ","), "not mounted")
		r.add("mounts", place, what, found, slices.Contains(top[place], option))
	}
	for _, place := range e.ReadOnly {
		expect(place, "read-only", "ro")
	}
	for _, place := range e.Writable {
		expect(place, "writable", "rw")
	}
	const good = "read-only, nosuid, nodev; none shared"
	r.add("mounts", "all others", good, cmp.Or(strings.Join(wrong, "; "), good), len(wrong) == 0)
}

func (e Expect) problem(m sandbox.Mount) string {
	writable := m.Path == "/dev/pts" || slices.ContainsFunc(e.Writable, func(w string) bool {
		return m.Path == w || strings.HasPrefix(m.Path, w+"/")
	})
	switch {
	case !writable && !slices.Contains(m.Options, "ro"):
		return "is writable"
	case !slices.Contains(m.Options, "nosuid"):
		return "honours setuid"
	case !slices.Contains(m.Options, "nodev") && !strings.HasPrefix(m.Path, "/dev/"):
		return "has device nodes"
	}
	return ""
}
