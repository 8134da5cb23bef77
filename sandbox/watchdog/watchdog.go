// Package watchdog stands in for control groups where none can be had and the
// owner accepted that: it samples a sandbox and kills it when it goes over its
// limits (nacre.TierWatchdog).
package watchdog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

	proc   string // the sandbox's own /proc, which shows its processes and no others
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
	held, err := w.prepare()
	if err != nil {
		time.Sleep(w.Every) // it may be about to end
		if !w.gone() {      // then nothing bounds it
			w.Kill("it cannot be watched: " + err.Error())
		}
		return fmt.Errorf("the sandbox cannot be watched: %w", err)
	}
	defer held.Close()
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

// prepare takes hold of the sandbox's /proc, and looks up what stays the same.
func (w *Watchdog) prepare() (held *os.File, err error) {
	process := fmt.Sprintf("/proc/%d", w.Init)
	if held, err = os.Open(process + "/root/proc"); err != nil {
		return nil, err
	}
	w.proc = fmt.Sprintf("/proc/self/fd/%d", held.Fd())
	ours, _ := os.Readlink("/proc/self/ns/pid")
	theirs, _ := os.Readlink(process + "/ns/pid")
	if shown, _ := os.Readlink(w.proc + "/1/ns/pid"); shown == "" || shown != theirs || shown == ours {
		held.Close()
		return nil, fmt.Errorf("process %d has no pid namespace of its own, with a /proc that shows it", w.Init)
	}
	fd, err := unix.MemfdCreate("nacre", unix.MFD_CLOEXEC)
	var st unix.Stat_t
	if err := errors.Join(err, unix.Fstat(fd, &st), unix.Close(fd)); err != nil {
		held.Close()
		return nil, fmt.Errorf("the device of shared memory: %w", err)
	}
	w.device = fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev))
	return held, nil
}

// gone tells whether init has ended: then it has no namespaces any more.
func (w *Watchdog) gone() bool {
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", w.Init))
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// sample looks at every process of the sandbox, those in namespaces within and
// those that may be run but not read among them. Pages that processes share are
// counted once only where it matters: that is dear. So are mappings, which are
// looked at every fifth time. Processor time is what was seen to be used, or what
// parents waited for.
func (w *Watchdog) sample() (u nacre.Usage, err error) {
	names, err := os.ReadDir(w.proc)
	var known time.Duration
	now, thorough := map[string]process{}, w.turn%5 == 0
	w.turn++
	for _, name := range names {
		dir := w.proc + "/" + name.Name()
		p := readProcess(dir)
		if p.state == "" {
			continue // it has just ended, or is no process
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
