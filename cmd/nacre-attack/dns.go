package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"nacre/attack/wire"
)

// resolver asks the configured name servers, where they are on loopback or no
// interface leads out: a query past this machine would be an escape of our own
// making.
func resolver(c *wire.Config, _ *probe) outcome {
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return contained("/etc/resolv.conf: %s", errnoName(rootCause(err)))
	}
	var d doors
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		address, err := netip.ParseAddr(f[1])
		if err != nil {
			continue
		}
		target := netip.AddrPortFrom(address, 53).String()
		if up, err := outward(); !address.IsLoopback() && (err != nil || len(up) > 0) {
			if o := reach(target); o.verdict == wire.Escaped {
				d.open = append(d.open, o.evidence)
			} else {
				d.shut = append(d.shut, o.evidence)
			}
			continue
		}
		d.asked(c, target)
	}
	return d.outcome()
}

// asked asks a name server for a name that cannot exist.
func (d *doors) asked(c *wire.Config, target string) {
	code, err := query(target, "nacre-attack-"+c.Run+".invalid")
	const refused = 5
	switch {
	case err != nil:
		d.tried(target, rootCause(err))
	case code == refused:
		d.shut = append(d.shut, target+": REFUSED")
	default:
		d.open = append(d.open, fmt.Sprintf("%s answers with code %d", target, code))
	}
}

// ownResolver asks name servers of its own choosing, where no interface leads
// out; elsewhere it looks for a route to them.
func ownResolver(c *wire.Config, _ *probe) outcome {
	targets := []string{"192.0.2.53:53", "[2001:db8::53]:53"}
	if up, err := outward(); err != nil || len(up) > 0 {
		return reach(targets...)
	}
	var d doors
	for _, target := range targets {
		d.asked(c, target)
	}
	return d.outcome()
}

// query asks for an A record and returns the answer's code.
func query(server, name string) (byte, error) {
	conn, err := net.DialTimeout("udp", server, time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	question := binary.BigEndian.AppendUint16(nil, 0x4e41)
	question = append(question, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		question = append(append(question, byte(len(label))), label...)
	}
	question = append(question, 0, 0, 1, 0, 1)
	if _, err := conn.Write(question); err != nil {
		return 0, err
	}
	answer := make([]byte, 512)
	n, err := conn.Read(answer)
	if err != nil {
		return 0, err
	}
	if n < 12 {
		return 0, fmt.Errorf("an answer of %d bytes", n)
	}
	return answer[3] & 15, nil
}
