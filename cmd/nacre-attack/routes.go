package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// outward lists interfaces that are up and are not the loopback.
func outward() ([]string, error) {
	data, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		return nil, rootCause(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil // no IPv4 at all: then no interface is of use either
	}
	defer unix.Close(fd)
	var up []string
	for line := range strings.Lines(string(data)) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || name == "lo" {
			continue
		}
		request, err := unix.NewIfreq(name)
		if err != nil || unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request) != nil {
			up = append(up, name+" (flags unknown)")
		} else if request.Uint16()&unix.IFF_UP != 0 {
			up = append(up, name)
		}
	}
	return up, nil
}

func interfaces(*wire.Config, *probe) outcome {
	up, err := outward()
	switch {
	case err != nil:
		return contained("/proc/self/net/dev: %s", errnoName(err))
	case len(up) > 0:
		return escaped("up: %s", strings.Join(up, " "))
	}
	return contained("nothing but lo is up")
}

// reach looks for a route to each target, and dials only where no interface
// leads out, so that nothing is ever sent past this machine.
func reach(targets ...string) outcome {
	up, err := outward()
	if err != nil {
		up = []string{"unknown"}
	}
	var d doors
	for _, target := range targets {
		source, err := routeTo(target)
		switch {
		case err != nil:
			d.tried(target, err)
		case len(up) > 0 && !source.IsLoopback():
			d.open = append(d.open, fmt.Sprintf("%s has a route from %s by %s (nothing was sent)", target, source, strings.Join(up, " ")))
		case len(up) > 0:
			d.shut = append(d.shut, target+": only from the loopback")
		default:
			d.tried(target, dial(target))
		}
	}
	return d.outcome()
}

func routeTo(target string) (netip.Addr, error) {
	conn, err := net.Dial("udp", target)
	if err != nil {
		return netip.Addr{}, rootCause(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// dial connects and waits for a word. In a sandbox with a gateway a connection
// arrives there, and is reset; who stays silent was reached.
func dial(target string) error {
	conn, err := net.DialTimeout("tcp", target, 700*time.Millisecond)
	if err != nil {
		return rootCause(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(700 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, unix.ECONNRESET) {
		return rootCause(err)
	}
	return nil
}

func gateway(*wire.Config, *probe) outcome {
	var d doors
	v4, err := os.ReadFile("/proc/self/net/route")
	if err != nil {
		return contained("/proc/self/net/route: %s", errnoName(rootCause(err)))
	}
	for line := range strings.Lines(string(v4)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] != "Iface" && f[0] != "lo" {
			d.open = append(d.open, "route by "+f[0]+" through "+f[2])
		}
	}
	v6, _ := os.ReadFile("/proc/self/net/ipv6_route")
	for line := range strings.Lines(string(v6)) {
		if f := strings.Fields(line); len(f) == 10 && f[9] != "lo" {
			d.open = append(d.open, "IPv6 route by "+f[9])
		}
	}
	return d.outcome()
}
