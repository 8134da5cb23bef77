// Package native is the built-in engine: it turns a plan into a sandbox made
// of the kernel's own parts, as root or as a plain user, without a daemon.
//
// The process that calls Start is the sandbox's supervisor: when it dies, the
// sandbox dies. What it is made of is described in package sandbox.
package native

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"nacre"
	"nacre/fault"
	"nacre/jobs"
	"nacre/runs"
	"nacre/sandbox/cgroup"
	"nacre/watch"
)

// Engine starts native sandboxes. Alias, Images and Registered may be empty.
type Engine struct {
	Init     string         // path of nacre-init
	Runs     *runs.Store    // where running sandboxes are registered
	Audit    nacre.Recorder // told before anything runs
	Caller   nacre.Caller   // on whose behalf
	Alias    string         // the owner's name for the sandbox, unique among those running; may be empty
	Gateways Gateways       // opens the way out; without it a plan that grants one is refused
	// Images gives the folder of an image's root file system, which stays as it is
	// until it is closed. Without it only the host's can be used.
	Images func(context.Context, nacre.Image) (folder string, held io.Closer, err error)
	// Registered, if set, is told of each sandbox before anything of it is
	// started, so that its control socket is there from the beginning.
	Registered func(runs.Record) error
}

// Start builds the plan's sandbox and starts its command. The audit's record
// of the start is on disk before the command's first instruction.
func (e *Engine) Start(ctx context.Context, p nacre.Plan, s nacre.Streams) (nacre.Sandbox, error) {
	b := e.box(p)
	return b.start(ctx, s, b.supported, b.sweep, b.register, b.announce, b.limit, b.open, b.prepare, b.launch, b.await, b.verify, b.admitted, b.keepMasked)
}

// box is a sandbox of which nothing is made yet.
func (e *Engine) box(p nacre.Plan) *box {
	p.Limits.Processes += initThreads
	b := &box{engine: e, plan: p, id: strings.ToLower(rand.Text()[:8]), started: time.Now(), facts: map[string]string{}}
	b.like = nacre.Event{Sandbox: b.id, Plan: p.Digest, Subject: p.Subject.String(), Caller: e.Caller, Rule: "plan"}
	b.watcher = watch.New(p.Accepts(nacre.TierMasksAtStart))
	b.alive, b.leave = context.WithCancel(context.Background())
	b.jobs = jobs.New(b.alive, b.output)
	return b
}

// supported refuses what no layer here can enforce yet: granted but not
// enforced would be worse than refused.
func (b *box) supported(context.Context) error {
	p, gateways := b.plan, b.engine.Gateways
	for what, n := range map[string]int{"messages": len(p.Messages), "a schedule": len(p.Schedule), "devices": len(p.Devices)} {
		if n > 0 {
			return fault.New(fault.Unsupported, "the plan grants %s, which this version cannot enforce", what).
				WithHint("leave it out of the manifest")
		}
	}
	switch {
	case len(p.Command) == 0:
		return fault.New(fault.Usage, "there is no command to run")
	case p.Digest == "":
		return fault.New(fault.Internal, "the plan was not compiled")
	case !leaves(p):
		return nil
	case gateways == nil:
		return fault.New(fault.Unsupported, "the plan grants a network, which needs a gateway, and there is none here").
			WithHint("leave it out of the manifest: the sandbox then has no network at all")
	}
	return gateways.Supports(p)
}

// start goes through the steps in order and begins the command; where one
// fails, box.abandon undoes what was done.
func (b *box) start(ctx context.Context, s nacre.Streams, steps ...func(context.Context) error) (nacre.Sandbox, error) {
	begin := func(context.Context) error { return b.begin(s) }
	if err := b.take(ctx, append(steps, begin)...); err != nil {
		return nil, b.abandon(err)
	}
	return b, nil
}

func (b *box) take(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := b.seam(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// sweep takes away what crashed supervisors left behind.
func (b *box) sweep(context.Context) error {
	_, err := b.engine.Runs.Sweep()
	return err
}

// register makes the sandbox known.
func (b *box) register(context.Context) (err error) {
	record := runs.Record{
		ID: b.id, Name: b.engine.Alias, Agent: b.plan.Name, Engine: "native", Plan: b.plan.Digest, Subject: b.plan.Subject.String(),
		Command: b.plan.Command, Supervisor: os.Getpid(), Started: b.started,
		Groups: cgroup.Planned(b.id), // stored before launch makes any of it
	}
	if b.entry, err = b.engine.Runs.Add(record); err == nil && b.engine.Registered != nil {
		err = b.engine.Registered(b.entry.Record)
	}
	return err
}

// announce has the start written to the audit while the sandbox is being built.
func (b *box) announce(ctx context.Context) error {
	b.recorded = sync.OnceValue(func() error {
		return b.record(ctx, "sandbox.start", nacre.Allow, "plan accepted", map[string]string{
			"command":  quoted(b.plan.Command),
			"warnings": strings.Join(b.warnings(), " "),
			"accepted": fmt.Sprint(b.plan.Accepted),
		})
	})
	go b.recorded()
	return nil
}

// admitted waits for the audit.
func (b *box) admitted(context.Context) error {
	if err := b.recorded(); err != nil {
		return fault.Wrap(fault.Exhausted, err, "the audit cannot record the start, so nothing is started")
	}
	return nil
}

// quoted is a command as it is recorded: whole, each word to be told from the next. The
// audit cuts what is too long, and says so.
func quoted(command []string) string { return strings.Trim(fmt.Sprintf("%q", command), "[]") }

func (b *box) warnings() (names []string) {
	for _, w := range b.plan.Warnings {
		names = append(names, w.Name)
	}
	return slices.Compact(names)
}

// record has something that happens written to the audit.
func (b *box) record(ctx context.Context, kind string, effect nacre.Effect, reason string, detail map[string]string) error {
	e := b.like
	e.Kind, e.Decision, e.Reason, e.Detail = kind, effect, reason, detail
	return b.engine.Audit.Record(ctx, e)
}

// deny records what was refused, or went wrong.
func (b *box) deny(kind, reason string, detail map[string]string) error {
	return b.record(context.Background(), kind, nacre.Deny, reason, detail)
}
