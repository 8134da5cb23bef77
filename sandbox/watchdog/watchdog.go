// Package watchdog stands in for control groups where none can be had and the
// owner accepted that: it samples a sandbox and kills it when it goes over its
// limits (nacre.TierWatchdog).
package watchdog

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"nacre"
)

// Watchdog sees what is so at a sample: a burst between two of them, memory
// that no process maps, and the time of processes that live shorter and are
// not waited for, escape it.
type Watchdog struct {
	Init   int                 // the sandbox's init, as numbered here
	Limits nacre.Limits        // memory and processes; cpus × time is the processor time in all
	Every  time.Duration       // between two samples, such as 100 ms
	Kill   func(reason string) // called once at most

	space  string // the sandbox's pid namespace
	latest atomic.Pointer[nacre.Usage]
	used   time.Duration            // processor time that was seen to be used
	seen   map[string]time.Duration // by each in the last sample, by number and start
}

// Usage is the latest sample: memory, processor time and processes.
func (w *Watchdog) Usage() nacre.Usage { return *cmp.Or(w.latest.Load(), &nacre.Usage{}) }

// Run samples until the sandbox is gone or ctx is done, or kills it.
func (w *Watchdog) Run(ctx context.Context) error {
	held, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", w.Init)) // so that the namespace's number is not given out again
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
func (w *Watchdog) judge(u nacre.Usage, err error) string {
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
// Processor time is what was seen to be used, or what parents waited for.
func (w *Watchdog) sample() (u nacre.Usage, err error) {
	names, err := os.ReadDir("/proc")
	var members []process
	var known time.Duration
	now := map[string]time.Duration{}
	for _, name := range names {
		dir := "/proc/" + name.Name()
		if in, err := os.Readlink(dir + "/ns/pid"); err != nil || in != w.space {
			continue
		}
		p := readProcess(dir)
		if p.state == "" {
			continue // it has just ended
		}
		key := dir + "@" + p.start
		members, now[key] = append(members, p), p.own
		w.used += p.own - w.seen[key]
		u.Processes, u.Memory, known = u.Processes+p.threads, u.Memory+p.resident, known+p.own+p.waited
	}
	if w.seen = now; u.Memory > w.Limits.Memory {
		u.Memory = 0
		for _, p := range members {
			u.Memory += p.proportional()
		}
	}
	u.CPU = max(w.used, known)
	w.latest.Store(&u)
	return u, err
}
