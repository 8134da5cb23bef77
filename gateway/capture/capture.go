// Package capture describes the network of a sandbox: a namespace with nothing
// but loopback, in which every address leads there, every TCP port to one
// socket, every question for a name to another, and all else nowhere. nacre-init
// opens the sockets, the supervisor sets up the rest with them from outside.
package capture

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Where the gateway listens inside, above the ports that the kernel gives out by
// itself (ip_local_port_range).
const (
	TCPPort = 61080
	DNSPort = 61053
)

// Resolver is the name server that programs inside are told of. Its address is
// as good as any other: all lead to the gateway.
func Resolver() netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, 1}) }

// group is the number under which the kernel reports packets that went nowhere.
const group = 7

// Network is what the namespace is to become. What serves it is TCP and DNS for
// IPv4, the same for IPv6 where this machine has it, and reports.
type Network struct {
	IPv6    bool
	Talks   []Talk
	Reports Talk // the last, whose socket goes on receiving
}

// Talk is messages for one part of the kernel, of which some are acknowledged.
type Talk struct {
	Protocol int
	Messages []byte
	Acks     int
}

// New describes the namespace.
func New(ipv6 bool) (*Network, error) {
	n := &Network{IPv6: ipv6}
	for _, six := range []bool{false, true} {
		if six && !ipv6 {
			break
		}
		rules, acks, err := rules(six)
		if err != nil {
			return nil, err
		}
		way, err := route(six)
		if err != nil {
			return nil, err
		}
		n.Talks = append(n.Talks, Talk{unix.NETLINK_ROUTE, way, 1}, Talk{unix.NETLINK_NETFILTER, rules, acks})
	}
	var err error
	n.Reports, err = reports()
	return n, err
}

// message is one netlink message, with a request for the acknowledgement of this number.
func message(number uint32, kind uint16, flags netlink.HeaderFlags, header []byte, attributes func(*netlink.AttributeEncoder)) ([]byte, error) {
	e := netlink.NewAttributeEncoder()
	attributes(e)
	b, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return netlink.Message{
		Header: netlink.Header{Length: uint32(unix.SizeofNlMsghdr + len(header) + len(b)), Type: netlink.HeaderType(kind),
			Flags: netlink.Request | netlink.Acknowledge | flags, Sequence: number},
		Data: append(header, b...),
	}.MarshalBinary()
}

// route makes every address one of this namespace's own.
func route(ipv6 bool) ([]byte, error) {
	family, source := byte(unix.AF_INET), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if ipv6 {
		family, source = unix.AF_INET6, netip.IPv6Loopback()
	}
	// struct rtmsg (rtnetlink(7)): a destination of length 0 is everywhere.
	header := []byte{family, 0, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_BOOT, unix.RT_SCOPE_HOST, unix.RTN_LOCAL, 0, 0, 0, 0}
	return message(1, unix.RTM_NEWROUTE, netlink.Create|netlink.Excl, header, func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.RTA_OIF, loopback)
		e.Bytes(unix.RTA_PREFSRC, source.AsSlice())
	})
}

// loopback is the index of lo, the first interface of every namespace.
const loopback = 1

// reports asks for copies of the heads of packets that the rules turn away
// (linux/netfilter/nfnetlink_log.h).
func reports() (Talk, error) {
	const (
		configure     = unix.NFNL_SUBSYS_ULOG<<8 | 1
		command, mode = 1, 2
		threshold     = 5
		bind, packets = 1, 2
		head          = 64 // bytes: both addresses and the ports
	)
	header := []byte{unix.AF_UNSPEC, 0, 0, group}
	binding, err := message(1, configure, 0, header, func(e *netlink.AttributeEncoder) { e.Bytes(command, []byte{bind}) })
	if err != nil {
		return Talk{}, err
	}
	copying, err := message(2, configure, 0, header, func(e *netlink.AttributeEncoder) {
		e.Bytes(mode, append(binary.BigEndian.AppendUint32(nil, head), packets, 0))
		e.Bytes(threshold, binary.BigEndian.AppendUint32(nil, 1)) // each at once
	})
	return Talk{unix.NETLINK_NETFILTER, append(binding, copying...), 2}, err
}
