// Package watchdog stands in for control groups where none can be had and the
// owner accepted that: it samples a sandbox and kills it when it goes over its
// limits (nacre.TierWatchdog).
package watchdog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
)

// Watchdog sees what is so at a sample: a burst between two of them, shared
// memory that no process maps, what is queued in pipes and sockets, and the
// time of processes that live shorter and are not waited for, escape it.
type Watchdog struct {
	Init   int                 // the sandbox's init, as numbered here
	Limits nacre.Limits        // memory and processes; cpus × time is the processor time in all
	Every  time.Duration       // between two samples, such as 100 ms
	Kill   func(reason string) // called once at most

	space  string // the sandbox's pid namespace
	outer  string // the watchdog's own
	device string // of shared memory, as in a maps file
	turn   int    // of samples
	shared int64  // memory, when that was last looked at
	latest atomic.Pointer[nacre.Usage]
	used   time.Duration      // processor time that was seen to be used
	seen   map[string]process // in the last sample, by folder
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
	if err := w.prepare(); err != nil {
		return err
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

// prepare looks up what stays the same.
func (w *Watchdog) prepare() (err error) {
	w.space, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", w.Init))
	if err == nil {
		w.outer, err = os.Readlink("/proc/self/ns/pid")
	}
	if err != nil || w.outer == w.space {
		return fmt.Errorf("process %d has no pid namespace of its own to be watched", w.Init)
	}
	fd, err := unix.MemfdCreate("nacre", unix.MFD_CLOEXEC)
	var st unix.Stat_t
	if err := errors.Join(err, unix.Fstat(fd, &st), unix.Close(fd)); err != nil {
		return fmt.Errorf("the device of shared memory: %w", err)
	}
	w.device = fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev))
	return nil
}

// sample looks at every process of the namespace, and at each whose parent is
// or just was one of them: a namespace within, or a program that may be run but
// not read, shows no more than that. Pages that processes share are counted
// once only where it matters: that is dear. So are mappings and looking for
// such processes, which is done every fifth time. Processor time is what was
// seen to be used, or what parents waited for.
func (w *Watchdog) sample() (u nacre.Usage, err error) {
	names, err := os.ReadDir("/proc")
	var known time.Duration
	now, thorough := map[string]process{}, w.turn%5 == 0
	w.turn++
	for _, name := range names {
		dir := "/proc/" + name.Name()
		in, err := os.Readlink(dir + "/ns/pid")
		_, old := w.seen[dir]
		if in == w.outer || errors.Is(err, fs.ErrNotExist) || in != w.space && !old && !thorough {
			continue
		}
		p := readProcess(dir)
		_, child := now[p.parent]
		_, orphan := w.seen[p.parent]
		if p.state == "" || in != w.space && !child && !orphan {
			continue // it has just ended, or is a stranger
		}
		before := w.seen[dir]
		if before.start != p.start {
			before = process{}
		}
		now[dir] = p
		w.used += p.own - before.own
		u.Processes, u.Memory, known = u.Processes+p.threads, u.Memory+p.resident, known+p.own+p.waited
	}
	if thorough || u.Memory+w.shared > w.Limits.Memory {
		w.shared = shared(now, w.device)
	}
	u.Memory += w.shared
	if w.seen = now; u.Memory > w.Limits.Memory {
		twice := int64(0)
		u.Memory = w.shared
		for _, p := range now {
			all, mapped := p.proportional()
			u.Memory, twice = u.Memory+all, twice+mapped
		}
		u.Memory -= min(twice, w.shared)
	}
	u.CPU = max(w.used, known)
	w.latest.Store(&u)
	return u, err
}
