package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func socketFamilyProbes() []probe {
	one := func(id, ref, what string, domain, kind, protocol int) probe {
		return probe{id: id, ref: ref, how: "make a socket of " + what, good: "refused",
			run: func(*wire.Config, *probe) outcome {
				var d doors
				d.tried(what, trySocket(domain, kind, protocol))
				return d.outcome()
			}}
	}
	packet := one("kernel.af-packet", "packet(7), CVE-2020-14386", "raw frames", unix.AF_PACKET, unix.SOCK_RAW, 0)
	vsock := one("kernel.af-vsock", "vsock(7)", "the hypervisor's channel", unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	alg := one("kernel.af-alg", "CVE-2013-7421, Documentation/crypto/userspace-if.rst", "kernel cryptography", unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	packet.bare, vsock.bare, alg.bare = true, true, true
	return []probe{packet, vsock, alg,
		{id: "kernel.af-netlink", ref: "netlink(7), CVE-2023-32233", bare: true,
			how: "make netlink sockets of every protocol but the routing one that libc needs", good: "refused", run: netlinks},
		{id: "kernel.socket-families", ref: "socket(2), address_families(7)",
			how: "make a socket of every family from 0 to 63 but UNIX, INET, INET6 and NETLINK", good: "refused", run: families},
		{id: "kernel.rare-protocols", ref: "landlock(7) on MPTCP, CVE-2017-6074",
			how: "make MPTCP, SCTP, DCCP and UDP-Lite sockets, which rules about TCP and UDP do not see", good: "refused", run: rareProtocols},
	}
}

func trySocket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func netlinks(*wire.Config, *probe) outcome {
	var d doors
	for protocol := 1; protocol < 24; protocol++ {
		if err := trySocket(unix.AF_NETLINK, unix.SOCK_RAW, protocol); err == nil {
			d.tried(fmt.Sprintf("protocol %d", protocol), nil)
		} else if len(d.shut) == 0 {
			d.tried("the others", err)
		}
	}
	return d.outcome()
}

func families(*wire.Config, *probe) outcome {
	var open []string
	refusals := map[string]int{}
	for family := range 64 {
		switch family {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
			continue
		}
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
			err := trySocket(family, kind, 0)
			if err == nil {
				open = append(open, fmt.Sprintf("family %d type %d", family, kind))
				break
			}
			refusals[errnoName(err)]++
		}
	}
	if len(open) > 0 {
		return escaped("%s", strings.Join(open, "; "))
	}
	return contained("none of 60 families: %v", refusals)
}

func rareProtocols(*wire.Config, *probe) outcome {
	var d doors
	for _, r := range []struct {
		name           string
		kind, protocol int
	}{{"MPTCP", unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, {"SCTP", unix.SOCK_SEQPACKET, unix.IPPROTO_SCTP},
		{"DCCP", 6, unix.IPPROTO_DCCP}, {"UDP-Lite", unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE}} {
		for family, name := range map[int]string{unix.AF_INET: "IPv4", unix.AF_INET6: "IPv6"} {
			d.tried(r.name+" over "+name, trySocket(family, r.kind, r.protocol))
		}
	}
	return d.outcome()
}
