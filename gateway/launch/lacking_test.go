package launch

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/gateway/capture"
)

// lacking is a machine on which networks come out otherwise than they are to.
type lacking struct {
	native.Gateways
	change func(*capture.Network)
}

func (l lacking) Open(p nacre.Plan, uid int, born func(func(v2 int) error) error, report func(context.Context, nacre.Event) error) (native.Gateway, error) {
	g, err := l.Gateways.Open(p, uid, born, report)
	if err == nil {
		l.change(g.(*link).network)
	}
	return g, err
}

// withoutTables asks for a part of the kernel that there never is, in place of nf_tables.
func withoutTables(n *capture.Network) {
	for _, t := range n.Talks {
		if t.Protocol == unix.NETLINK_NETFILTER {
			// struct nfgenmsg of the batch's beginning: its res_id names the part.
			binary.BigEndian.PutUint16(t.Messages[unix.SizeofNlMsghdr+2:], 11)
		}
	}
}

// TestWithoutNftables: where the kernel cannot redirect, nothing runs, and it is said
// what is lacking and what to do.
func TestWithoutNftables(t *testing.T) {
	w := newWorld(t)
	w.grant("api.test", listen(t), nil)
	w.engine.Gateways = lacking{w.launcher, withoutTables}
	w.plan.Command = []string{"true"}
	w.plan.Digest = compile.Digest(w.plan)
	_, err := w.engine.Start(context.Background(), w.plan, nacre.Streams{})
	told := Lacking(err)
	if fault.KindOf(told) != fault.Unsupported || !strings.Contains(told.Error(), "it lacks a part of nf_tables") || !strings.Contains(fault.HintOf(told), "modprobe") {
		t.Errorf("%v; hint: %s", told, fault.HintOf(told))
	}
	if other := fault.New(fault.Usage, "something else"); Lacking(other) != error(other) || Lacking(nil) != nil {
		t.Error("another error is not left as it is")
	}
}

// TestUncaptured: where what is sent does not arrive at the gateway, whatever the
// kernel said, nothing runs; and it has nowhere else to go.
func TestUncaptured(t *testing.T) {
	for _, lost := range []int{unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER} {
		change := func(n *capture.Network) {
			n.Talks = slices.DeleteFunc(n.Talks, func(t capture.Talk) bool { return t.Protocol == lost })
		}
		w := newWorld(t)
		w.grant("api.test", listen(t), nil)
		w.engine.Gateways = lacking{w.launcher, change}
		w.plan.Command = []string{"true"}
		w.plan.Digest = compile.Digest(w.plan)
		_, err := w.engine.Start(context.Background(), w.plan, nacre.Streams{})
		if fault.KindOf(err) != fault.Tampered || !strings.Contains(err.Error(), "network, TCP to anywhere: expected captured") {
			t.Errorf("without netlink %d: %v", lost, err)
		}
	}
}

// TestUnsaid: what the plan says of a variable holds, then what was said first.
func TestUnsaid(t *testing.T) {
	v := func(name, value string) nacre.Variable { return nacre.Variable{Name: name, Value: value} }
	got := unsaid([]nacre.Variable{v("A", "plan")}, []nacre.Variable{v("A", "gateway"), v("B", "first"), v("B", "second"), v("C", "")})
	if want := []nacre.Variable{v("B", "first"), v("C", "")}; !slices.EqualFunc(got, want, func(a, b nacre.Variable) bool { return a.Name == b.Name && a.Value == b.Value }) {
		t.Errorf("%+v", got)
	}
}
