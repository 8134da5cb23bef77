package capture

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// rules are the nftables messages of one address family, and how many of them
// are acknowledged.
func rules(ipv6 bool) (messages []byte, acks int, err error) {
	var failed error
	conn, err := nftables.New(nftables.WithTestDial(func(batch []netlink.Message) ([]netlink.Message, error) {
		if messages != nil || len(batch) == 0 {
			return nil, nil // asked for the acknowledgements, which are heard later
		}
		for i := range batch {
			m := batch[i]
			m.Header.Flags &^= netlink.Echo // acknowledgements are heard and nothing else
			m.Header.Sequence = 0
			if m.Header.Flags&netlink.Acknowledge != 0 {
				acks++
				m.Header.Sequence = uint32(acks)
			}
			b, err := m.MarshalBinary()
			if err != nil {
				failed = err
			}
			messages = append(messages, b...)
		}
		return acknowledged(batch), nil
	}))
	if err != nil {
		return nil, 0, err
	}
	describe(conn, ipv6)
	if err = conn.Flush(); err == nil {
		err = failed
	}
	return messages, acks, err
}

// acknowledged is the kernel's answer, in its place.
func acknowledged(batch []netlink.Message) (answers []netlink.Message) {
	for _, m := range batch {
		if m.Header.Flags&netlink.Acknowledge != 0 {
			answers = append(answers, netlink.Message{Header: netlink.Header{Type: netlink.Error, Sequence: m.Header.Sequence, PID: m.Header.PID}, Data: make([]byte, 20)})
		}
	}
	return answers
}

// describe writes the rules: what the sandbox sends to its own loopback stays,
// TCP and questions for names are redirected, all else is reported and refused.
func describe(c *nftables.Conn, ipv6 bool) {
	family, local, unreachable := nftables.TableFamilyIPv4, ipv4Loopback(), byte(3)
	if ipv6 {
		family, local, unreachable = nftables.TableFamilyIPv6, ipv6Loopback(), 4
	}
	table := c.AddTable(&nftables.Table{Family: family, Name: "nacre"})
	drop := nftables.ChainPolicyDrop
	redirect := c.AddChain(&nftables.Chain{Name: "redirect", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	rest := c.AddChain(&nftables.Chain{Name: "rest", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter, Policy: &drop})
	add := func(chain *nftables.Chain, parts ...[]expr.Any) {
		var all []expr.Any
		for _, p := range parts {
			all = append(all, p...)
		}
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}
	accept := []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	add(redirect, local, accept)
	add(redirect, protocol(unix.IPPROTO_TCP), to(TCPPort))
	add(redirect, protocol(unix.IPPROTO_UDP), port(53), to(DNSPort))
	add(rest, local, accept) // what was redirected is local by now
	add(rest, []expr.Any{
		&expr.Log{Group: group, Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_SNAPLEN, Snaplen: 64},
		&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: unreachable},
	})
}

// ipv4Loopback matches packets to 127.0.0.0/8.
func ipv4Loopback() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{255, 0, 0, 0}, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{127, 0, 0, 0}},
	}
}

// ipv6Loopback matches packets to ::1.
func ipv6Loopback() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 24, Len: 16},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: append(make([]byte, 15), 1)},
	}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

func port(number uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(number)},
	}
}

func to(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Redir{RegisterProtoMin: 1},
	}
}
