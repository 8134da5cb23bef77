package launch

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// lacking is a machine whose kernel has no nf_tables: the part that the rules are for
// is one that there never is.
type lacking struct{ native.Gateways }

func (l lacking) Open(p nacre.Plan, uid int, born func(func(v2 int) error) error, report func(context.Context, nacre.Event) error) (native.Gateway, error) {
	g, err := l.Gateways.Open(p, uid, born, report)
	return without{g}, err
}

type without struct{ native.Gateway }

func (w without) Network() *blueprint.Network {
	n := *w.Gateway.Network()
	n.Netlink = append([]blueprint.Netlink{}, n.Netlink...)
	for i := range n.Netlink {
		if l := &n.Netlink[i]; l.Protocol == unix.NETLINK_NETFILTER {
			l.Messages = bytes.Clone(l.Messages)
			// struct nfgenmsg of the batch's beginning: its res_id names the part.
			binary.BigEndian.PutUint16(l.Messages[unix.SizeofNlMsghdr+2:], 11)
		}
	}
	return &n
}

// TestWithoutNftables: where the kernel cannot redirect, nothing runs, and it is said
// what is lacking and what to do.
func TestWithoutNftables(t *testing.T) {
	w := newWorld(t)
	w.grant("api.test", listen(t), nil)
	w.engine.Gateways = lacking{w.launcher}
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
