// Package posture reads back from the kernel what confines a process, and
// compares it with what must hold. Nothing here relies on what was asked for:
// a difference means that a layer is missing.
package posture

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"nacre"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
)

// namespaces that a sandbox must not share with its supervisor.
var namespaces = []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"}

// Read compares a sandbox's first process with its blueprint and its identity.
// There may be mounts at strays, too.
func Read(pid int, s blueprint.Spec, m sandbox.Mapping, strays []string) []nacre.Expectation {
	r := reader{proc: filepath.Join("/proc", strconv.Itoa(pid))}
	for _, ns := range namespaces {
		if ns != "time" || s.Time != "" {
			r.namespace(ns)
		}
	}
	r.status()
	r.equal("identity", "uid map", fmt.Sprint(m.Inside, m.UID, 1), r.fields("uid_map"))
	r.equal("identity", "gid map", fmt.Sprint(m.Inside, m.GID, 1), r.fields("gid_map"))
	r.network(s.Loopback)
	r.limits(s.Limits)
	r.equal("limits", "oom_score_adj", strconv.Itoa(sandbox.OOMScore), r.fields("oom_score_adj"))
	r.mounts(append([]blueprint.Entry{{Form: blueprint.Private, Path: "/", Write: s.Overlay}}, s.Entries...), strays)
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

func (r *reader) namespace(ns string) {
	theirs, err := os.Readlink(filepath.Join(r.proc, "ns", ns))
	ours, err2 := os.Readlink(filepath.Join("/proc/self/ns", ns))
	ok, found := err == nil && err2 == nil && theirs != ours, "its own"
	if !ok {
		found = fmt.Sprintf("%s here, %s there (%v)", ours, theirs, err)
	}
	r.add("namespaces", ns, "its own", found, ok)
}

// told is what a text in the form of proc_pid_status(5) says of something.
func told(text, of string) string {
	_, rest, _ := strings.Cut("\n"+text, "\n"+of+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, " \t")
}

// status checks what tells of confinement. The filter is one more than those
// that the supervisor is under itself.
func (r *reader) status() {
	text, own := r.file("status"), (&reader{proc: "/proc/self"}).file("status")
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		r.equal("capabilities", set, "0000000000000000", told(text, set))
	}
	r.equal("capabilities", "NoNewPrivs", "1", told(text, "NoNewPrivs"))
	r.equal("seccomp", "mode", "2", told(text, "Seccomp"))
	if n, err := strconv.Atoi(told(own, "Seccomp_filters")); err == nil { // since Linux 5.9
		r.equal("seccomp", "filters", strconv.Itoa(n+1), told(text, "Seccomp_filters"))
	}
}

// network reads which interfaces there are, and whether the one that may be
// has its address, which it has while it is up.
func (r *reader) network(up bool) {
	var names []string
	for line := range strings.Lines(r.file("net/dev")) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, strings.TrimLeft(name, " "))
		}
	}
	r.equal("network", "interfaces", "lo", strings.Join(names, " "))
	r.equal("network", "loopback up", fmt.Sprint(up), fmt.Sprint(strings.Contains(r.file("net/fib_trie"), "127.0.0.1")))
}

// limits compares resource limits: a line for each, in the order of their
// numbers, behind a heading (proc_pid_limits(5)).
func (r *reader) limits(want []blueprint.Rlimit) {
	const column = 26
	lines := strings.Split(r.file("limits"), "\n")
	for _, l := range want {
		line := fmt.Sprintf("%-*s", column, lines[min(l.Resource+1, len(lines)-1)])
		found := strings.Fields(line[column:] + " missing missing")
		r.equal("limits", strings.TrimSpace(line[:column]), fmt.Sprint(l.Value, l.Value), found[0]+" "+found[1])
	}
}
