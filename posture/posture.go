// Package posture reads back from the kernel what confines a process, and
// compares it with what must hold. Nothing here relies on what was asked for:
// a difference means that a layer is missing.
package posture

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nacre"
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
