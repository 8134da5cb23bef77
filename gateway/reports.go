package gateway

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"nacre"
)

// reports records the packets that the kernel inside turned away: UDP but for
// questions of names, and whatever else is not TCP. The kernel drops reports
// when there are too many: they are counted at least.
func (g *Gateway) reports() {
	defer close(g.drained)
	raw, err := g.turned.SyscallConn()
	if err != nil {
		return
	}
	b := make([]byte, 64<<10)
	for {
		var n int
		var err error
		if e := raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			return err != unix.EAGAIN
		}); e != nil {
			return
		}
		if err != nil {
			continue // ENOBUFS: some were dropped
		}
		g.reported(b[:n])
	}
}

// drain reads the reports that are there: of what is gone there are no more.
func (g *Gateway) drain() {
	raw, err := g.turned.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		b := make([]byte, 64<<10)
		for {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if err != nil && err != unix.ENOBUFS {
				return
			}
			g.reported(b[:max(n, 0)])
		}
	})
}

// reported reads the kernel's messages (linux/netfilter/nfnetlink_log.h).
func (g *Gateway) reported(b []byte) {
	const header, payload = 4, 9 // struct nfgenmsg, NFULA_PAYLOAD
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr+header || size > len(b) {
			return
		}
		if a, err := netlink.NewAttributeDecoder(b[unix.SizeofNlMsghdr+header : size]); err == nil {
			for a.Next() {
				if a.Type() == payload {
					g.packet(a.Bytes())
				}
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
}

// packet records one packet by where it was meant to go.
func (g *Gateway) packet(b []byte) {
	to, ok := heading(b)
	if !ok {
		return
	}
	g.book.denied(context.Background(), nacre.Event{Kind: "packet", Rule: "default",
		Reason: "only TCP, and questions for names, leave a sandbox", Detail: map[string]string{"to": to}})
}

// heading reads protocol, address and port out of an IP packet's head.
func heading(b []byte) (string, bool) {
	var protocol byte
	var to netip.Addr
	var rest []byte
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		size := int(b[0]&15) * 4
		protocol, to = b[9], netip.AddrFrom4([4]byte(b[16:20]))
		rest = b[min(max(size, 20), len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6:
		protocol, to, rest = b[6], netip.AddrFrom16([16]byte(b[24:40])), b[40:]
	default:
		return "", false
	}
	name := map[byte]string{unix.IPPROTO_UDP: "udp", unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_ICMPV6: "icmp"}[protocol]
	if name == "" {
		name = "protocol " + strconv.Itoa(int(protocol))
	}
	if name == "udp" && len(rest) >= 4 {
		return name + "://" + netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:])).String(), true
	}
	return strings.ReplaceAll(name, " ", "-") + "://" + to.String(), true
}
