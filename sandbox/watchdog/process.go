package watchdog

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is USER_HZ, the same on every architecture that Nacre is built for.
const tick = 10 * time.Millisecond

// process is what a watchdog wants to know of one.
type process struct {
	dir         string // where to read about its memory
	state       string // one letter; empty for what has just ended
	start       string // when it began: with its number, who it is
	threads     int64  // none for a zombie
	resident    int64  // bytes
	own, waited time.Duration
}

// readProcess reads a process's folder in /proc.
func readProcess(dir string) process {
	p := parseStat(dir)
	switch {
	case p.state != "Z":
	case p.threads == 1:
		p.threads = 0
	default: // the first thread has ended, and the memory shows only at another
		if tasks, _ := os.ReadDir(dir + "/task"); len(tasks) > 0 {
			p.dir = dir + "/task/" + tasks[len(tasks)-1].Name()
			p.resident = parseStat(p.dir).resident
		}
	}
	return p
}

// parseStat reads a stat file. The name in it is the agent's to choose: the
// fields begin after the last bracket.
func parseStat(dir string) process {
	b, _ := os.ReadFile(dir + "/stat")
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 22 { // numbered from 3 in proc(5)
		return process{}
	}
	number := func(field int) int64 { n, _ := strconv.ParseInt(f[field-3], 10, 64); return n }
	return process{dir: dir, state: f[0], start: f[22-3],
		threads: number(20), resident: number(24) * int64(os.Getpagesize()),
		own:    time.Duration(number(14)+number(15)) * tick,
		waited: time.Duration(number(16)+number(17)) * tick}
}

// proportional is the memory with shared pages divided among their sharers,
// else the resident memory.
func (p process) proportional() int64 {
	b, _ := os.ReadFile(p.dir + "/smaps_rollup")
	_, rest, _ := strings.Cut(string(b), "\nPss:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if kib, err := strconv.ParseInt(number, 10, 64); err == nil {
		return kib << 10
	}
	return p.resident
}
