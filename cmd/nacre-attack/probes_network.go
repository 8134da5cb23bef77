package main

import (
	"bytes"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func networkProbes() []probe {
	loopback := func(id, ref, network string, addresses func(*wire.Config) []string) probe {
		return probe{id: "network." + id, ref: ref, proof: wire.ByArrival, bare: true, needs: []string{"canary:" + network},
			how: "talk to a listener on the host's loopback by " + id, good: "its own loopback has no such listener",
			run: func(c *wire.Config, p *probe) outcome {
				return send(c, p, network, addresses(c)...)
			}}
	}
	one := func(format string, port func(*wire.Config) int) func(*wire.Config) []string {
		return func(c *wire.Config) []string { return []string{fmt.Sprintf(format, port(c))} }
	}
	tcp4 := func(c *wire.Config) int { return c.TCP4 }
	tcp6 := func(c *wire.Config) int { return c.TCP6 }
	routed := func(id, ref, what string, targets ...string) probe {
		return probe{id: "network." + id, ref: ref, bare: true,
			how:  "look for a route to " + what + " by connecting a UDP socket, which sends nothing; dial only where there is no way out",
			good: "no route but through the sandbox's own loopback, and no connection",
			run:  func(*wire.Config, *probe) outcome { return reach(targets...) }}
	}
	return []probe{
		loopback("loopback-tcp4", "ip(7)", "tcp4", one("127.0.0.1:%d", tcp4)),
		loopback("loopback-tcp6", "ipv6(7)", "tcp6", one("[::1]:%d", tcp6)),
		loopback("loopback-udp4", "udp(7), landlock(7) on UDP", "udp4", one("127.0.0.1:%d", func(c *wire.Config) int { return c.UDP4 })),
		loopback("loopback-udp6", "udp(7)", "udp6", one("[::1]:%d", func(c *wire.Config) int { return c.UDP6 })),
		{id: "network.loopback-other-names", ref: "RFC 1122 3.2.1.3, RFC 4291 2.5.5", proof: wire.ByArrival, bare: true, needs: []string{"canary:tcp4"},
			how:  "reach the same listener as 0.0.0.0, 127.1.2.3, ::ffff:127.0.0.1 and localhost",
			good: "every spelling ends at its own loopback", run: otherNames},
		{id: "network.tcp-fast-open", ref: "RFC 7413: data in the SYN, by sendto instead of connect", proof: wire.ByArrival, bare: true, needs: []string{"canary:tcp4"},
			how:  "open a connection with sendto and MSG_FASTOPEN, which a rule about connect() does not see",
			good: "as unreachable as by connect", run: fastOpen},
		{id: "network.mptcp", ref: "RFC 8684, landlock(7) on MPTCP", proof: wire.ByArrival, bare: true, needs: []string{"canary:tcp4"},
			how:  "open a connection with an MPTCP socket, which a rule about TCP does not see",
			good: "refused, or as unreachable as by TCP", run: mptcp},
		{id: "network.interfaces", ref: "network_namespaces(7)", bare: true,
			how: "list interfaces that are up", good: "only lo", run: interfaces},
		routed("ipv4", "RFC 5737", "an IPv4 address of the outside", "192.0.2.1:80"),
		routed("ipv6", "RFC 3849, RFC 4291", "an IPv6 address of the outside", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80"),
		routed("private", "RFC 1918, RFC 6598", "private networks", "10.0.0.1:80", "172.16.0.1:80", "172.17.0.1:80", "192.168.0.1:80", "192.168.1.1:80", "100.64.0.1:80"),
		routed("metadata", "cloud metadata services", "the machine's metadata service", "169.254.169.254:80", "169.254.170.2:80", "[fd00:ec2::254]:80", "100.100.100.200:80"),
		{id: "network.dns-direct", ref: "RFC 1035", bare: true,
			how:  "ask a name server of its own choosing for a name that cannot exist, where no interface leads out; otherwise look for a route to it",
			good: "no route, no answer, or REFUSED", run: ownResolver},
		routed("multicast", "RFC 6762, RFC 4795", "local discovery", "224.0.0.251:5353", "[ff02::fb]:5353", "239.255.255.250:1900"),
		{id: "network.gateway", ref: "route(8)", bare: true,
			how: "find a default gateway in the routing table", good: "no route through another machine", run: gateway},
		{id: "network.dns-resolver", ref: "resolv.conf(5), RFC 1035", bare: true,
			how:  "ask the configured resolver for a name that cannot exist, if it listens on loopback; otherwise look for a route to it",
			good: "no resolver, no answer, or REFUSED", run: resolver},
		{id: "network.icmp", ref: "icmp(7)", bare: true,
			how: "make ping sockets", good: "refused", run: func(*wire.Config, *probe) outcome {
				return sockets("ICMP", unix.SOCK_DGRAM, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6)
			}},
		{id: "network.raw", ref: "raw(7)", bare: true,
			how: "make raw sockets", good: "refused", run: func(*wire.Config, *probe) outcome {
				return sockets("raw", unix.SOCK_RAW, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6)
			}},
		{id: "network.configure", ref: "netdevice(7), CAP_NET_ADMIN", bare: true,
			how: "change the flags of an interface that does not exist", good: "the permission is refused", run: configure},
	}
}

func sockets(name string, kind, v4, v6 int) outcome {
	var d doors
	d.tried(name+" IPv4", trySocket(unix.AF_INET, kind, v4))
	d.tried(name+" IPv6", trySocket(unix.AF_INET6, kind, v6))
	return d.outcome()
}

func otherNames(c *wire.Config, p *probe) outcome {
	var d doors
	for _, host := range []string{"0.0.0.0", "127.1.2.3", "[::ffff:127.0.0.1]", "localhost", "127.0.0.1%lo", "[::]"} {
		d.tried(host, sendOne("tcp", fmt.Sprintf("%s:%d", host, c.TCP4), arrival(c, p)))
	}
	return d.outcome()
}

func fastOpen(c *wire.Config, p *probe) outcome {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return contained("socket: %s", errnoName(err))
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Port: c.TCP4, Addr: [4]byte{127, 0, 0, 1}}
	var d doors
	d.tried("sendto MSG_FASTOPEN", unix.Sendto(fd, arrival(c, p), unix.MSG_FASTOPEN, to))
	time.Sleep(50 * time.Millisecond)
	return d.outcome()
}

func mptcp(c *wire.Config, p *probe) outcome {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		return contained("socket: %s", errnoName(err))
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: c.TCP4, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return contained("connect: %s", errnoName(err))
	}
	_, err = unix.Write(fd, arrival(c, p))
	time.Sleep(50 * time.Millisecond)
	return escaped("connected; write: %v", err)
}

func configure(*wire.Config, *probe) outcome {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return contained("socket: %s", errnoName(err))
	}
	defer unix.Close(fd)
	request := [40]byte{}
	copy(request[:], "nacre-none")
	_, err = call(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	var d doors
	d.tried("SIOCSIFFLAGS", err, unix.ENODEV)
	return d.outcome()
}

func contains(data []byte, what string) bool { return bytes.Contains(data, []byte(what)) }
