package watchdog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
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
	virtual     int64  // bytes
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
			other := parseStat(dir + "/task/" + tasks[len(tasks)-1].Name())
			p.dir, p.virtual, p.resident = other.dir, other.virtual, other.resident
		}
	}
	return p
}

// parseStat reads a stat file. The name in it is the agent's to choose: the
// fields begin after the last bracket.
func parseStat(dir string) process {
	b, _ := os.ReadFile(dir + "/stat") // empty for what has just ended
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 22 { // numbered from 3 in proc(5)
		return process{}
	}
	number := func(field int) int64 { n, _ := strconv.ParseInt(f[field-3], 10, 64); return n }
	return process{dir: dir, state: f[0], start: f[22-3],
		threads: number(20), virtual: number(23), resident: number(24) * int64(os.Getpagesize()),
		own:    time.Duration(number(14)+number(15)) * tick,
		waited: time.Duration(number(16)+number(17)) * tick}
}

// proportional is the memory with shared pages divided among their sharers,
// and what of it is shared memory; else the resident memory, which is none by now
// where it has ended.
func (p process) proportional() (all, shared int64) {
	b, _ := os.ReadFile(p.dir + "/smaps_rollup")
	_, rest, ok := strings.Cut(string(b), "\nPss:")
	if !ok {
		return parseStat(p.dir).resident, 0
	}
	fmt.Sscan(rest, &all)
	_, rest, _ = strings.Cut(rest, "\nPss_Shmem:")
	fmt.Sscan(rest, &shared)
	return all << 10, shared << 10
}

// shared is how much shared memory there may be in mappings: each inode up to
// the end of them, whether its pages are in a page table or not. Where the maps
// cannot be read (nor can the program), it is all that is mapped. The device is
// that of shared memory.
func shared(members map[string]process, device string) int64 {
	var sum float64 // which does not overflow
	sizes := map[string]float64{}
	for _, p := range members {
		b, err := os.ReadFile(p.dir + "/maps")
		if errors.Is(err, fs.ErrPermission) {
			sum += float64(p.virtual - p.resident)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, device) {
				var from, to, offset uint64
				var mode, inode string
				fmt.Sscanf(line, "%x-%x %s %x "+device+" %s", &from, &to, &mode, &offset, &inode)
				sizes[inode] = max(sizes[inode], float64(offset)+float64(to-from))
			}
		}
	}
	for _, n := range sizes {
		sum += n
	}
	return int64(min(sum, 1<<60))
}
