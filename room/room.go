// Package room tells whether what this session and this machine have left is
// enough to start a sandbox.
//
// Where the kernel refuses a thread or memory to Go's runtime, that ends the
// program on the spot, with the stacks of everything it was doing: nobody can
// make an error of it that says what to do. So it is asked before anything is
// begun. Nothing relies on the answer: others can take what is left meanwhile.
package room

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// processes is how many processes and threads there are at once, at most, while a
// sandbox starts: 14 to 18 by pids.peak, 18 to 20 with a network, of which nacre has
// had four when it asks. The rest is for busy machines, whose runtimes take more.
const processes = 24

// bound is something of which a process may use only so much, and the least that a
// start with a network and a folder works with.
type bound struct {
	resource int
	least    uint64
	named    string
	flag     string // of ulimit
	unit     uint64 // that ulimit counts in
}

func bounds() []bound {
	return []bound{
		{unix.RLIMIT_NOFILE, 96, "open files", "-n", 1},                // works from 72
		{unix.RLIMIT_DATA, 96 << 20, "KiB of memory", "-d", 1 << 10},   // works from 78 MiB
		{unix.RLIMIT_AS, 800 << 20, "KiB of addresses", "-v", 1 << 10}, // works from 760 MiB
	}
}

// machine is where the answer is found.
type machine struct {
	root  string // of the files
	uid   int
	limit func(resource int) uint64
}

// Check refuses where too little is left to start a sandbox, with what there is too
// little of and what to do.
func Check() error {
	return machine{"/", os.Geteuid(), limit}.check()
}

// limit is one of this process's own. Go has raised that of open files as far as it
// may.
func limit(resource int) uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) != nil {
		return unix.RLIM_INFINITY
	}
	return l.Cur
}

func (m machine) check() error {
	for _, b := range bounds() {
		if l := m.limit(b.resource); l < b.least {
			return short("nacre may have %d %s here, and a start takes %d", l/b.unit, b.named, b.least/b.unit).
				WithHint("raise ulimit %s", b.flag)
		}
	}
	if err := m.all(); err != nil {
		return err
	}
	return m.groups()
}

func short(format string, args ...any) *fault.Fault {
	return fault.New(fault.Exhausted, "a sandbox cannot be started: "+format, args...)
}

// few refuses where fewer than a start takes are left.
func few(most, used uint64, where, remedy string) error {
	if used+processes <= most {
		return nil
	}
	return short("%d more processes and threads are left %s, and a start takes up to %d", most-min(used, most), where, processes).
		WithHint("end some programs, or raise %s", remedy)
}

// all compares what the machine and its user may have with all that there is: only
// where that could be too much is it worth the while to count the user's own.
func (m machine) all() error {
	running, ok := m.running()
	if !ok {
		return nil
	}
	if most, err := strconv.ParseUint(m.read("proc/sys/kernel/threads-max"), 10, 64); err == nil {
		if err := few(most, running, "on this machine", "the sysctl kernel.threads-max"); err != nil {
			return err
		}
	}
	most := m.limit(unix.RLIMIT_NPROC)
	if m.uid == 0 || most >= running+processes { // the kernel does not hold root to it
		return nil
	}
	return few(most, m.own(), fmt.Sprintf("to user %d", m.uid), "ulimit -u")
}

// running is how many processes and threads the machine has.
func (m machine) running() (n uint64, ok bool) {
	fields := strings.Fields(m.read("proc/loadavg"))
	if len(fields) < 4 {
		return 0, false
	}
	_, total, _ := strings.Cut(fields[3], "/")
	n, err := strconv.ParseUint(total, 10, 64)
	return n, err == nil
}

// own counts the user's processes and threads.
func (m machine) own() (n uint64) {
	all, _ := filepath.Glob(filepath.Join(m.root, "proc/[0-9]*"))
	for _, dir := range all {
		status := map[string]string{}
		b, _ := os.ReadFile(filepath.Join(dir, "status")) // gone meanwhile: none
		for line := range strings.Lines(string(b)) {
			if name, values, _ := strings.Cut(line, ":"); name == "Uid" || name == "Threads" {
				status[name], _, _ = strings.Cut(strings.TrimSpace(values), "\t")
			}
		}
		if threads, err := strconv.ParseUint(status["Threads"], 10, 64); err == nil && status["Uid"] == strconv.Itoa(m.uid) {
			n += threads
		}
	}
	return n
}

// groups looks at the control groups that this process is in.
func (m machine) groups() error {
	tree, group := m.group()
	for ; ; group = path.Dir(group) {
		dir := path.Join(tree, group)
		if most, err := strconv.ParseUint(m.read(dir+"/pids.max"), 10, 64); err == nil { // else "max", or the top
			used, err := strconv.ParseUint(m.read(dir+"/pids.current"), 10, 64)
			if err != nil {
				used = 0
			}
			if err := few(most, used, "in the control group "+group, "its pids.max (systemd: TasksMax)"); err != nil {
				return err
			}
		}
		if group == "/" {
			return nil
		}
	}
}

// group is the one that this process is in, and the tree in which processes are
// counted.
func (m machine) group() (tree, group string) {
	tree, group = "sys/fs/cgroup", "/"
	for line := range strings.Lines(m.read("proc/self/cgroup") + "\n") {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) < 3:
		case slices.Contains(strings.Split(f[1], ","), "pids"):
			return "sys/fs/cgroup/pids", path.Join("/", f[2])
		case f[0] == "0":
			group = path.Join("/", f[2])
		}
	}
	return tree, group
}

// read is a file's content; nothing of what it should say is said where there is none.
func (m machine) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(m.root, name))
	return strings.TrimSpace(string(b))
}
