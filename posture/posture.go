// Package posture reads back from the kernel what confines a process, and
// compares it with what must hold. Nothing here relies on what was asked for:
// a difference means that a layer is missing.
package posture

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nacre"
	"nacre/sandbox"
)

// Expect is what must hold for a sandbox's first process.
type Expect struct {
	UIDMap   string // "inside outside length"
	GIDMap   string
	ReadOnly []string // places that must be read-only mounts
	Writable []string // places that are writable mounts; every other mount is read-only
	Limits   map[string]int64
}

// namespaces that a sandbox must not share with its supervisor.
var namespaces = []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}

// Read compares a process with what is expected of it.
func Read(pid int, e Expect) []nacre.Expectation {
	r := reader{proc: filepath.Join("/proc", strconv.Itoa(pid))}
	r.namespaces()
	r.status()
	r.equal("identity", "uid map", e.UIDMap, r.fields("uid_map"))
	r.equal("identity", "gid map", e.GIDMap, r.fields("gid_map"))
	r.limits(e.Limits)
	r.mounts(e)
	return r.list
}

type reader struct {
	proc string
	list []nacre.Expectation
}

func (r *reader) add(layer, item, expected, found string, ok bool) {
	r.list = append(r.list, nacre.Expectation{Layer: layer, Item: item, Expected: expected, Found: found, OK: ok})
}

func (r *reader) equal(layer, item, expected, found string) {
	r.add(layer, item, expected, found, expected == found)
}

// file reads a file of the process; an error reads as its text, and so as a
// difference.
func (r *reader) file(name string) string {
	b, err := os.ReadFile(filepath.Join(r.proc, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (r *reader) fields(name string) string { return strings.Join(strings.Fields(r.file(name)), " ") }

func (r *reader) namespaces() {
	for _, ns := range namespaces {
		theirs, err := os.Readlink(filepath.Join(r.proc, "ns", ns))
		ours, err2 := os.Readlink(filepath.Join("/proc/self/ns", ns))
		ok := err == nil && err2 == nil && theirs != ours
		found := "its own"
		if !ok {
			found = fmt.Sprintf("%s here, %s there (%v)", ours, theirs, err)
		}
		r.add("namespaces", ns, "its own", found, ok)
	}
}

// status checks the lines of proc_pid_status(5) that tell of confinement.
func (r *reader) status() {
	lines := map[string]string{}
	for line := range strings.Lines(r.file("status")) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			lines[key] = strings.TrimSpace(value)
		}
	}
	const none = "0000000000000000"
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		r.equal("capabilities", set, none, lines[set])
	}
	r.equal("capabilities", "NoNewPrivs", "1", lines["NoNewPrivs"])
	r.equal("seccomp", "mode", "2", lines["Seccomp"])
	if filters, ok := lines["Seccomp_filters"]; ok { // since 5.9
		n, err := strconv.Atoi(filters)
		r.add("seccomp", "filters", "at least 1", filters, err == nil && n >= 1)
	}
}

// limits compares resource limits by their names in proc_pid_limits(5).
func (r *reader) limits(want map[string]int64) {
	text := r.file("limits")
	for _, name := range slices.Sorted(maps.Keys(want)) {
		found := "missing"
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, name); ok {
				if f := strings.Fields(rest); len(f) >= 2 {
					found = f[0] + " " + f[1]
				}
			}
		}
		v := strconv.FormatInt(want[name], 10)
		r.equal("limits", name, v+" "+v, found)
	}
}

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
	case m.Shared:
		return "shares mounts with the host"
	case !writable && !slices.Contains(m.Options, "ro"):
		return "is writable"
	case !slices.Contains(m.Options, "nosuid"):
		return "honours setuid"
	case !slices.Contains(m.Options, "nodev") && !strings.HasPrefix(m.Path, "/dev/"):
		return "has device nodes"
	}
	return ""
}
