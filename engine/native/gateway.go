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
	// Open starts a plan's gateway, which becomes the uid where there is one and is
	// born into a control group (cgroup.Group.Beside).
	Open(p nacre.Plan, uid int, born func(func(v2 int) error) error, report func(context.Context, nacre.Event) error) (Gateway, error)
}

// Gateway is the process through which all that a sandbox sends passes.
type Gateway interface {
	// Sockets are opened inside.
	Sockets() []blueprint.Socket
	// Furnish is what programs inside must know, where the plan says nothing else.
	Furnish(context.Context) ([]blueprint.Entry, []nacre.Variable, error)
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
// comes after the control groups, into which it is born (TestGatewayIsCharged).
func (b *box) open(context.Context) (err error) {
	uid := 0
	if !leaves(b.plan) {
		return nil
	}
	if os.Geteuid() == 0 {
		uid, err = b.number(firstUID, uidCount)
	}
	if err == nil {
		b.gateway, err = b.engine.Gateways.Open(b.plan, uid, b.group.Beside, b.report)
	}
	return err
}

// report records what happens at the gateway.
func (b *box) report(ctx context.Context, e nacre.Event) error {
	e.Sandbox, e.Plan, e.Subject, e.Caller = b.id, b.plan.Digest, b.plan.Subject.String(), nacre.Caller{UID: b.engine.Caller.UID, Name: "gateway"}
	return b.engine.Audit.Record(ctx, e)
}

// furnished is the whole blueprint: it tells the sandbox of its gateway, in place
// of what it would have seen of the host, once that has said what there is to tell.
func (b *box) furnished(ctx context.Context) ([]byte, error) {
	if b.gateway == nil {
		return b.spec.Encode()
	}
	files, variables, err := b.gateway.Furnish(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b.spec.Entries = slices.DeleteFunc(b.spec.Entries, func(old blueprint.Entry) bool {
			return old.Path == f.Path || old.Form == blueprint.Tree && old.FD == 0 && strings.HasPrefix(f.Path, old.Path+"/")
		})
	}
	b.spec.Entries = append(files, b.spec.Entries...) // before the host's links
	b.spec.Sockets, b.variables = b.gateway.Sockets(), variables
	return b.spec.Encode()
}

// environ is the job's environment: the plan's, and what tells of the gateway.
func (b *box) environ() (list []string) {
	for _, v := range append(slices.Clone(b.plan.Environment), b.variables...) {
		list = append(list, v.Name+"="+v.Value)
	}
	return list
}
