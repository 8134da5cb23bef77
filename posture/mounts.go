package posture

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

func sorted(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) }

func orElse(s, fallback string) string { return cmp.Or(s, fallback) }

// mounts checks every mount of the process: writable only where the plan says,
// without setuid programs, and without device nodes but in /dev.
func (r *reader) mounts(e Expect) {
	var wrong []string
	seen := map[string]string{}
	for line := range strings.Lines(r.file("mountinfo")) {
		f := strings.Fields(line)
		if len(f) < 6 {
			wrong = append(wrong, "unreadable line: "+line)
			continue
		}
		point, options := unescape(f[4]), strings.Split(f[5], ",")
		seen[point] = f[5] // the last one at a place is on top
		if shared(f[6:]) {
			wrong = append(wrong, point+" shares mounts with the host")
		}
		if problem := e.problem(point, options); problem != "" {
			wrong = append(wrong, point+" "+problem)
		}
	}
	for _, place := range e.ReadOnly {
		r.add("mounts", place, "read-only", orElse(seen[place], "not mounted"),
			slices.Contains(strings.Split(seen[place], ","), "ro"))
	}
	for _, place := range e.Writable {
		r.add("mounts", place, "writable", orElse(seen[place], "not mounted"),
			slices.Contains(strings.Split(seen[place], ","), "rw"))
	}
	const good = "read-only, nosuid, nodev; none shared"
	r.add("mounts", "all others", good, orElse(strings.Join(wrong, "; "), good), len(wrong) == 0)
}

// shared looks for a peer group among a mount's optional fields, which end at a
// hyphen (proc_pid_mountinfo(5)).
func shared(optional []string) bool {
	for _, f := range optional {
		switch {
		case f == "-":
			return false
		case strings.HasPrefix(f, "shared:"), strings.HasPrefix(f, "master:"):
			return true
		}
	}
	return true // a line without its end
}

func (e Expect) problem(point string, options []string) string {
	writable := point == "/dev/pts" || slices.ContainsFunc(e.Writable, func(w string) bool {
		return point == w || strings.HasPrefix(point, w+"/")
	})
	switch {
	case !writable && !slices.Contains(options, "ro"):
		return "is writable"
	case !slices.Contains(options, "nosuid"):
		return "honours setuid"
	case !slices.Contains(options, "nodev") && !strings.HasPrefix(point, "/dev/"):
		return "has device nodes"
	}
	return ""
}

// unescape undoes the octal escapes of proc_pid_mountinfo(5).
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(s)
}
