// Package denials counts the system calls that a sandbox was refused, and has
// them recorded: each pair of call and program once when it is first seen, then
// sums. However many there are, it keeps little, writes little, and keeps
// nobody waiting. It decides nothing.
package denials

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/explain"
	"nacre/sandbox/notify"
	"nacre/seccomp"
	"nacre/seccomp/replay"
)

// The bounds. A program inside chooses its name and what it calls.
const (
	maxPairs    = 64          // of call and program that are recorded and told apart
	maxPrograms = 8           // named for one call
	maxProgram  = 256         // bytes of a program's name
	looks       = 200         // programs looked up in a second, beside those of calls not seen before
	interval    = time.Minute // between two records of sums
)

// Denial is one kind of refused call: the decision about it, how often it was
// made, and by which programs, as far as these were looked up. Their names are
// hostile text.
type Denial struct {
	nacre.Decision
	Count    uint64   `json:"count"`
	Programs []string `json:"programs"`
	More     bool     `json:"more,omitempty"` // by further programs too, or by some that were not looked up
}

// Tally is the denials of one sandbox. It is what package notify wants.
type Tally struct {
	arch     string
	program  []unix.SockFilter
	refusals *explain.Refusals
	log      *log
	served   <-chan struct{} // closed once none can be reported any more; nil if none ever could

	mu     sync.Mutex
	list   []*Denial
	by     map[key]*Denial
	seen   map[uint32]bool // numbers
	pairs  int
	second time.Time // in which looked were looked up
	looked int
}

// key tells denials apart: one call may be refused for several reasons.
type key struct {
	number uint32
	remedy string
}

// New makes the tally of a sandbox whose filter this is, made with these options. What
// is recorded is like the event.
func New(o seccomp.Options, program seccomp.Filter, recorder nacre.Recorder, like nacre.Event) *Tally {
	tally := &Tally{arch: string(o.Arch), program: program, refusals: explain.NewRefusals(o), by: map[key]*Denial{}, seen: map[uint32]bool{}}
	tally.log = newLog(recorder, like, tally.List)
	return tally
}

// Errno is what the filter itself would have answered.
func (t *Tally) Errno(c notify.Call) unix.Errno {
	_, errno := replay.Judge(t.program, t.arch, c.Number, c.Args)
	return cmp.Or(errno, unix.EPERM)
}

// number is a call's number; those of the x32 ABI count as one.
func number(c notify.Call) uint32 { return min(c.Number, explain.X32) }

// Program is what the process that called executes, as the kernel names it: hostile
// text. Its command line would be what it says itself, and reading that waits for its
// memory.
func (t *Tally) Program(c notify.Call, pid uint32) string {
	if !t.look(c) {
		return ""
	}
	name, _ := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/exe") // gone, or nobody's to see
	return name[:min(len(name), maxProgram)]
}

// look tells whether the program is worth the time: in a flood, seldom.
func (t *Tally) look(c notify.Call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := number(c); !t.seen[n] {
		t.seen[n] = true
		return true
	}
	if now := time.Now(); now.Sub(t.second) >= time.Second {
		t.second, t.looked = now, 0
	}
	t.looked++
	return t.looked <= looks
}

// Denied counts a call.
func (t *Tally) Denied(c notify.Call) {
	decision := t.refusals.Of(number(c), c.Args)
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key{number(c), decision.Remedy}
	d, known := t.by[k]
	if !known {
		d = &Denial{Decision: decision}
		t.by[k], t.list = d, append(t.list, d)
	}
	d.Count++
	if c.Program == "" && known || slices.Contains(d.Programs, c.Program) {
		d.More = d.More || c.Program == ""
		t.log.counted()
		return
	}
	if len(d.Programs) == maxPrograms || t.pairs == maxPairs {
		d.More = true
		t.log.counted()
		return
	}
	t.pairs++
	program := cmp.Or(c.Program, "unknown")
	d.Programs = append(d.Programs, program)
	t.log.first(decision, program)
}

// List is the denials so far, the most frequent first.
func (t *Tally) List() []Denial {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Denial, len(t.list))
	for i, d := range t.list {
		list[i] = *d
		list[i].Programs = slices.Clone(d.Programs)
	}
	slices.SortStableFunc(list, func(a, b Denial) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

// Serve has what the filter's listeners report answered and counted: there is one
// of them, or none.
func (t *Tally) Serve(listeners []int) {
	for _, l := range listeners {
		t.served = notify.Serve(l, t)
	}
}

// Close waits until nothing runs under the filter any more, and records what is not
// yet recorded. Nothing may be counted after it. The error says what could not be
// recorded.
func (t *Tally) Close() error {
	if t.served != nil {
		<-t.served
	}
	return t.log.close()
}
