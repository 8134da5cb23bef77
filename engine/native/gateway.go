package native

import (
	"context"
	"os"
	"slices"
	"strings"

	"nacre"
	"nacre/sandbox/blueprint"
)

// Gateways open the way out of plans that grant one.
type Gateways interface {
	// Supports refuses what a gateway cannot enforce.
	Supports(nacre.Plan) error
	// Open starts a plan's gateway, which becomes the uid where there is one.
	Open(p nacre.Plan, uid int, report func(context.Context, nacre.Event) error) (Gateway, error)
}

// Gateway is the process through which all that a sandbox sends passes.
type Gateway interface {
	PID() int
	// Sockets are opened inside.
	Sockets() []blueprint.Socket
	// Furnish is what programs inside must know, where the plan says nothing else.
	Furnish() ([]blueprint.Entry, []nacre.Variable, error)
	// Serve takes the descriptors that were opened inside, has all that is sent there
	// lead to them, and returns once it answers, with what came of trying.
	Serve([]int) ([]nacre.Expectation, error)
	// Close ends it.
	Close() error
}

// leaves tells whether anything of the plan is a gateway's to enforce.
func leaves(p nacre.Plan) bool {
	return len(p.Network)+len(p.Secrets)+len(p.Models)+len(p.Tools) > 0
}

// open starts the gateway, so that it begins while the sandbox is prepared. It
// comes after the control groups: what a plain user started before, outside the
// scope that systemd made, cannot be moved in (TestGatewayIsCharged).
func (b *box) open(context.Context) error {
	if !leaves(b.plan) {
		return nil
	}
	uid, err := 0, error(nil)
	if os.Geteuid() == 0 {
		if uid, err = b.number(firstUID, uidCount); err != nil {
			return err
		}
	}
	g, err := b.engine.Gateways.Open(b.plan, uid, b.report)
	if err != nil {
		return err
	}
	b.gateway = g
	return nil
}

// report records what happens at the gateway.
func (b *box) report(ctx context.Context, e nacre.Event) error {
	e.Sandbox, e.Plan, e.Subject, e.Caller = b.id, b.plan.Digest, b.plan.Subject.String(), nacre.Caller{UID: b.engine.Caller.UID, Name: "gateway"}
	return b.engine.Audit.Record(ctx, e)
}

// furnish tells the sandbox of its gateway, in place of what it would have seen
// of the host, and charges the gateway to it.
func (b *box) furnish(context.Context) error {
	if b.gateway == nil {
		return nil
	}
	if err := b.group.AddSupervisor(b.gateway.PID()); err != nil {
		return err
	}
	files, variables, err := b.gateway.Furnish()
	if err != nil {
		return err
	}
	for _, f := range files {
		b.spec.Entries = slices.DeleteFunc(b.spec.Entries, func(old blueprint.Entry) bool {
			return old.Path == f.Path || old.Form == blueprint.Tree && old.FD == 0 && strings.HasPrefix(f.Path, old.Path+"/")
		})
	}
	b.spec.Entries = append(files, b.spec.Entries...) // before the host's links
	b.spec.Sockets, b.variables = b.gateway.Sockets(), variables
	return nil
}

// environ is the job's environment: the plan's, and what tells of the gateway.
func (b *box) environ() (list []string) {
	for _, v := range append(slices.Clone(b.plan.Environment), b.variables...) {
		list = append(list, v.Name+"="+v.Value)
	}
	return list
}
