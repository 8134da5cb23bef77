// Package pool starts a plan's sandboxes out of ones that stand ready, for a
// process that stays: a daemon starts an agent without waiting for its sandbox
// to be built, and however large it is.
//
// A sandbox has a supervisor process of its own, which is charged to it. So what
// stands ready are such processes, members, each with one sandbox in which every
// layer is on and no command runs yet. A member that is used looks at the host
// and at the posture again and records the start, as native.Warm says, and is
// used once. What no longer shows the host as it is, is thrown away.
package pool

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"time"

	"nacre"
	"nacre/fault"
)

// Pool is an engine for one plan at a time. Close it at the end.
type Pool struct {
	caller  nacre.Caller     // who asks for every start
	command func() *exec.Cmd // starts a process that calls Serve
	size    int

	mu     sync.Mutex
	plan   nacre.Plan
	ready  []*member
	busy   sync.WaitGroup // members that are being made or taken away
	making int
	failed error      // why the last one could not be made
	change *sync.Cond // of ready, making, failed
	closed bool
}

// Open keeps size sandboxes of a plan ready, each in a process that command
// starts and in which Serve is called. Their records name the caller.
func Open(caller nacre.Caller, plan nacre.Plan, size int, command func() *exec.Cmd) *Pool {
	p := &Pool{caller: caller, command: command, size: max(size, 1), plan: plan}
	p.change = sync.NewCond(&p.mu)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fill()
	return p
}

// Name is "pool".
func (p *Pool) Name() string { return "pool" }

// Start starts the plan's command in a sandbox that is ready, or waits for one.
// Another plan than before takes the place of that: what was ready for it is
// thrown away.
func (p *Pool) Start(ctx context.Context, plan nacre.Plan, s nacre.Streams) (nacre.Sandbox, error) {
	if s.TTY {
		return nil, fault.New(fault.Unsupported, "a sandbox that stood ready has no terminal").WithHint("start it with the native engine")
	}
	for {
		m, err := p.take(plan)
		if err != nil {
			return nil, err
		}
		err = m.start(s)
		if err == nil {
			return m, nil
		}
		m.end()
		if fault.KindOf(err) != fault.Conflict || ctx.Err() != nil {
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

// take gives out a ready member, which is the caller's from then on.
func (p *Pool) take(plan nacre.Plan) (*member, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan.Digest != p.plan.Digest {
		p.plan = plan
		p.discard()
	}
	for {
		if p.closed {
			return nil, fault.New(fault.Conflict, "the pool is closed")
		}
		if n := len(p.ready); n > 0 {
			m := p.ready[0]
			p.ready = p.ready[1:]
			time.AfterFunc(rest, p.refill)
			return m, nil
		}
		p.fill()
		p.failed = nil
		p.change.Wait()
		if p.failed != nil {
			return nil, p.failed
		}
	}
}

// rest is how long one that was taken is left in peace before the next is made: a
// short command has begun by then, perhaps ended, and shares no processor with that.
const rest = 20 * time.Millisecond

func (p *Pool) refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fill()
}

// fill has as many made as are missing.
func (p *Pool) fill() {
	for ; !p.closed && len(p.ready)+p.making < p.size; p.making++ {
		plan := p.plan
		p.busy.Go(func() {
			m, err := newMember(p.command(), p.caller, plan)
			p.add(plan.Digest, m, err)
		})
	}
}

// add takes in a member that was made, if it is still wanted.
func (p *Pool) add(digest string, m *member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.change.Broadcast()
	p.making--
	switch wanted := !p.closed && digest == p.plan.Digest; {
	case wanted && err == nil:
		p.ready = append(p.ready, m)
	case wanted:
		p.failed = err
	case err == nil:
		p.busy.Go(m.end)
		p.fill()
	}
}

// discard throws away all that is ready.
func (p *Pool) discard() {
	for _, m := range p.ready {
		p.busy.Go(m.end)
	}
	p.ready = nil
}

// Ready is how many stand ready now.
func (p *Pool) Ready() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

// Close takes away all that was not used, and waits until it is gone.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.discard()
	p.change.Broadcast()
	p.mu.Unlock()
	p.busy.Wait()
}
