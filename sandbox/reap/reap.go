// Package reap is the second half of a sandbox's first process. It starts
// confined exactly as the agent will be: without capabilities, under the same
// Landlock rules and the same system-call filter, and not dumpable. It starts
// jobs when the supervisor says so, forwards signals, reaps whatever dies, and
// ends (and with it, by the kernel, everything in the sandbox) when the first
// job ends or the supervisor is gone.
package reap

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// Main runs until the first job has ended and returns the exit status for
// nacre-init itself. The calling goroutine must be locked to the process's first
// thread; see unhandle.
func Main() int {
	name := []byte("nacre-init\x00") // what was executed by its descriptor is called by that
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0)
	facts := ask()
	// execve made us dumpable again; nothing of the agent's exists yet.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, dumpable(), 0, 0, 0); err != nil {
		return fail("dumpable", err)
	}
	now, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	facts["dumpable"] = strconv.Itoa(now)
	unix.CloseOnExec(blueprint.ControlFD)
	if err := unhandle(); err != nil {
		return fail("signals", err)
	}
	if err := tell(blueprint.Message{Kind: blueprint.Confined, Facts: facts}); err != nil {
		return 1
	}
	r := &reaper{jobs: map[int]job{}}
	ended := make(chan int)
	go func() { ended <- r.serve() }()
	return <-ended
}

// unhandle leaves the signals that would end a Go program to the kernel, which
// drops those that the first process of a namespace does not handle (sigaction(2),
// pid_namespaces(7)): the agent may signal its init like any other process of its
// own. None stays ignored, because that is inherited by every job. The kernel looks
// at the first thread: a signal that is blocked there, as Go does it around a fork,
// is not dropped but ends the process at another thread. So that one only waits.
func unhandle() error {
	var byDefault [4]uint64 // struct sigaction
	for s := unix.Signal(1); s <= lastSignal; s++ {
		if slices.Contains(goNeeds, s) {
			continue
		}
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0); e != 0 {
			return e
		}
	}
	return nil
}

const lastSignal = 64 // signal(7)

// goNeeds are the signals that the Go runtime handles itself, and those that
// nobody can.
var goNeeds = []unix.Signal{unix.SIGILL, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGURG, unix.SIGCHLD, unix.SIGKILL, unix.SIGSTOP}

// tell sends the supervisor a message.
func tell(m blueprint.Message, fds ...int) error {
	return blueprint.Send(blueprint.ControlFD, m, fds...)
}

func fail(layer string, err error) int {
	_ = tell(blueprint.Message{Kind: blueprint.Failed, Layer: layer, Error: err.Error()})
	return 1
}

// job is a command that runs: its main process, and its side of its terminal,
// -1 where it has none.
type job struct{ pid, slave int }

type reaper struct {
	mu   sync.Mutex
	jobs map[int]job // by number
	once sync.Once
}

func (r *reaper) serve() int {
	for {
		m, fds, err := blueprint.Receive(blueprint.ControlFD)
		if err != nil {
			return 1 // the supervisor is gone: so are we
		}
		switch m.Kind {
		case blueprint.Run:
			r.run(m, fds)
		case blueprint.Signal:
			r.signal(m)
		default:
			return fail("supervisor", errors.New("unexpected message "+string(m.Kind)))
		}
		blueprint.CloseAll(fds)
	}
}

// signal goes to the job's main process alone, as with docker run.
func (r *reaper) signal(m blueprint.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j, ok := r.jobs[m.Job]; ok {
		_ = unix.Kill(j.pid, syscall.Signal(m.Number))
	}
}

func (r *reaper) run(m blueprint.Message, fds []int) {
	r.mu.Lock() // held until the job is known, so that reap finds it
	defer r.mu.Unlock()
	pid, slave, err := start(m, fds)
	if err != nil {
		unix.Close(slave)
		errno, _ := errors.AsType[syscall.Errno](err)
		_ = tell(blueprint.Message{Kind: blueprint.Refused, Job: m.Job, Number: int(errno), Error: err.Error()})
		return
	}
	r.jobs[m.Job] = job{pid, slave}
	_ = tell(blueprint.Message{Kind: blueprint.Started, Job: m.Job, Number: pid})
	r.once.Do(func() { go r.reap() })
}

// reap waits for everything that dies, ours or orphaned.
func (r *reaper) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && err != unix.EINTR {
			return
		}
		r.ended(pid, int(status)) // nobody's, if it was interrupted
	}
}

func (r *reaper) ended(pid, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, j := range r.jobs {
		if j.pid != pid {
			continue
		}
		unix.Close(j.slave)
		delete(r.jobs, number)
		_ = tell(blueprint.Message{Kind: blueprint.Ended, Job: number, Number: status})
		if number == 0 {
			os.Exit(0)
		}
	}
}
