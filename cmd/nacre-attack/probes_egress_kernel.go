package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// egressKernelProbes try to change what makes the gateway the only way out.
func egressKernelProbes() []probe {
	routing := func(kind uint16) []byte {
		return append(nlmsg(kind, unix.NLM_F_CREATE|unix.NLM_F_REPLACE), make([]byte, 12)...)
	}
	return []probe{
		egress("socket-options", "socket(7), ip(7)", "bind sockets to devices, mark them, and make them transparent, then connect", "refused, or it ends at the gateway", socketOptions),
		netlinkProbe("routes", "rtnetlink(7), CAP_NET_ADMIN", "add and remove routes, addresses, rules and links", unix.NETLINK_ROUTE,
			routing(unix.RTM_NEWROUTE), routing(unix.RTM_DELROUTE), routing(unix.RTM_NEWRULE), append(nlmsg(unix.RTM_NEWADDR, unix.NLM_F_CREATE), make([]byte, 8)...), append(nlmsg(unix.RTM_NEWLINK, unix.NLM_F_CREATE), make([]byte, 16)...)),
		netlinkProbe("nftables", "nft(8), NFT_MSG_DELTABLE", "flush the rules that redirect", unix.NETLINK_NETFILTER, batch(unix.NFNL_SUBSYS_NFTABLES<<8|2)),
		netlinkProbe("log-group", "NFLOG, nfnetlink_log", "join or take over the group in which denied packets are reported", unix.NETLINK_NETFILTER,
			append(nlmsg(unix.NFNL_SUBSYS_ULOG<<8|1, 0), unix.AF_UNSPEC, 0, 0, 7, 5, 0, 1, 0, 1, 0, 0, 0)),
		netlinkProbe("conntrack", "conntrack(8), CTNETLINK", "forge the table that tells where a redirected connection was going", unix.NETLINK_NETFILTER,
			append(nlmsg(unix.NFNL_SUBSYS_CTNETLINK<<8, unix.NLM_F_CREATE), unix.AF_INET, 0, 0, 0)),
	}
}

// nlmsg is the head of a message for the kernel.
func nlmsg(kind uint16, flags uint16) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 0)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	return append(b, 1, 0, 0, 0, 0, 0, 0, 0)
}

// batch wraps one message for nftables in its transaction.
func batch(kind uint16) []byte {
	sized := func(b []byte) []byte { binary.NativeEndian.PutUint32(b, uint32(len(b))); return b }
	begin := sized(append(nlmsg(16, 0), 0, 0, 0, unix.NFNL_SUBSYS_NFTABLES))
	end := sized(append(nlmsg(17, 0), 0, 0, 0, unix.NFNL_SUBSYS_NFTABLES))
	return append(append(begin, sized(append(nlmsg(kind, 0), unix.AF_UNSPEC, 0, 0, 0))...), end...)
}

// netlinkProbe sends messages that only an administrator of the network may.
func netlinkProbe(id, ref, how string, protocol int, messages ...[]byte) probe {
	return claimed(egress(id, ref, how, "no socket, or not permitted", nil), func(*way) outcome {
		var d doors
		for i, m := range messages {
			name := fmt.Sprintf("message %d", i+1)
			fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
			if err != nil {
				d.tried(name, err)
				continue
			}
			d.tried(name, command(fd, m), unix.EINVAL, unix.ENODEV, unix.ENOENT, unix.ESRCH, unix.ERANGE, unix.EOPNOTSUPP, unix.EEXIST)
			unix.Close(fd)
		}
		return d.outcome()
	})
}

// command sends a message and reads the first error that comes back.
func command(fd int, m []byte) error {
	if binary.NativeEndian.Uint32(m) == 0 {
		binary.NativeEndian.PutUint32(m, uint32(len(m)))
	}
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return errors.New("no answer: " + err.Error())
	}
	if n < 20 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(reply[16:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// socketOptions set what could lead a socket elsewhere. What is privileged must be
// refused; with what is not, the connection must end at the gateway.
func socketOptions(o *way) (list []attempt) {
	targets := []string{"192.0.2.1:80", fmt.Sprintf("127.0.0.1:%d", o.config.TCP4)}
	for _, a := range o.Addresses {
		targets = append(targets, net.JoinHostPort(a, fmt.Sprint(o.config.TCP4)))
	}
	for name, set := range map[string]func(fd int) error{
		"SO_BINDTODEVICE lo":   func(fd int) error { return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo") },
		"SO_BINDTODEVICE eth0": func(fd int) error { return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0") },
		"SO_MARK":              func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1) },
		"SO_DONTROUTE":         func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DONTROUTE, 1) },
		"SO_PRIORITY":          func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 7) },
		"IP_TRANSPARENT":       func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1) },
		"IP_FREEBIND":          func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1) },
	} {
		for _, target := range targets {
			list = append(list, attempt{name + " " + target, func() error {
				var refused error
				dialer := net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) error {
					return c.Control(func(fd uintptr) { refused = set(int(fd)) })
				}}
				c, err := dialer.Dial("tcp", target)
				if err != nil {
					return fmt.Errorf("option: %v; %s", refused, shortError(err))
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				fmt.Fprintln(c, o.token)
				_, err = c.Read(make([]byte, 1))
				return fmt.Errorf("option: %v; %v", refused, err)
			}})
		}
	}
	return list
}
