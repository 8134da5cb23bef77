package cgroup

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"nacre"
)

// Watchdog samples a sandbox that has no control group and kills it when it
// goes over its limits (nacre.TierWatchdog). It sees what is so at a sample:
// a burst between two of them, memory that no process maps, and the time of
// processes that live shorter and are not waited for, escape it.
type Watchdog struct {
	Init   int                 // the sandbox's init, as numbered here
	Limits nacre.Limits        // memory and processes; cpus × time is the processor time in all
	Every  time.Duration       // between two samples, such as 100 ms
	Kill   func(reason string) // called once at most

	space  string // the sandbox's pid namespace
	latest atomic.Pointer[Usage]
	dead   time.Duration            // processor time of those that are gone
	seen   map[string]time.Duration // and of those in the last sample, by number and start
}

// Usage is the latest sample.
func (w *Watchdog) Usage() Usage { return *cmp.Or(w.latest.Load(), &Usage{}) }

// Run samples until the sandbox is gone or ctx is done, or kills it.
func (w *Watchdog) Run(ctx context.Context) error {
	link := fmt.Sprintf("/proc/%d/ns/pid", w.Init)
	held, err := os.Open(link) // so that the namespace's number is not given out again
	if err != nil {
		return fmt.Errorf("the sandbox cannot be watched: %w", err)
	}
	defer held.Close()
	if w.space, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", held.Fd())); err != nil {
		return err
	}
	if own, err := os.Readlink("/proc/self/ns/pid"); err != nil || own == w.space {
		return fmt.Errorf("process %d has no pid namespace of its own to be watched", w.Init)
	}
	clock := time.NewTicker(w.Every)
	defer clock.Stop()
	for {
		u, err := w.sample()
		if err == nil && u.Processes == 0 {
			return nil
		}
		if reason := w.judge(u, err); reason != "" {
			w.Kill(reason)
			return nil
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// judge is the reason to kill, if there is one. What cannot be seen is killed.
func (w *Watchdog) judge(u Usage, err error) string {
	cpu := time.Duration(w.Limits.CPUs * float64(w.Limits.Time))
	switch {
	case err != nil:
		return "it cannot be watched: " + err.Error()
	case u.Memory > w.Limits.Memory:
		return fmt.Sprintf("memory of %d bytes is over the limit of %d", u.Memory, w.Limits.Memory)
	case u.Processes > w.Limits.Processes:
		return fmt.Sprintf("%d processes and threads are over the limit of %d", u.Processes, w.Limits.Processes)
	case u.CPU > cpu:
		return fmt.Sprintf("processor time of %v is over the limit of %v", u.CPU, cpu)
	}
	return ""
}

// sample looks at every process of the namespace, whoever its parent is. Pages
// that processes share are counted once only where it matters: that is dear.
func (w *Watchdog) sample() (Usage, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return Usage{}, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	var members []process
	u, now, own, waited := Usage{}, map[string]time.Duration{}, time.Duration(0), time.Duration(0)
	for _, name := range names {
		if _, err := strconv.Atoi(name); err != nil {
			continue
		}
		if in, err := os.Readlink("/proc/" + name + "/ns/pid"); err != nil || in != w.space {
			continue
		}
		p, ok := readProcess("/proc/" + name)
		if !ok {
			continue // it has just ended
		}
		members, now[name+"@"+p.start] = append(members, p), p.own
		u.Processes, u.Memory, own, waited = u.Processes+p.threads, u.Memory+p.resident, own+p.own, waited+p.waited
	}
	for key, t := range w.seen {
		if _, alive := now[key]; !alive {
			w.dead += t
		}
	}
	if w.seen = now; u.Memory > w.Limits.Memory {
		u.Memory = 0
		for _, p := range members {
			u.Memory += p.proportional()
		}
	}
	u.CPU, u.Peak = max(w.dead+own, own+waited), max(w.Usage().Peak, u.Memory)
	w.latest.Store(&u)
	return u, err
}
