package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// supervisor answers a gateway's records in a test.
type supervisor struct {
	mu     sync.Mutex
	events []nacre.Event
}

func (s *supervisor) kinds() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		list = append(list, e.Kind+" "+e.Detail["to"]+e.Detail["repeated"])
	}
	return list
}

func newGateway(t testing.TB, config wire.Config) (*Gateway, *supervisor) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*wire.Conn
	for i, fd := range pair {
		if ends[i], err = wire.NewConn(os.NewFile(uintptr(fd), "pair")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	g, err := New(config, ends[0])
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisor{}
	go func() {
		for {
			m, _, err := ends[1].Receive()
			if err != nil {
				return
			}
			if m.Record != nil {
				s.mu.Lock()
				s.events = append(s.events, m.Record.Event)
				s.mu.Unlock()
				_ = ends[1].Send(wire.Message{Ack: &wire.Ack{ID: m.Record.ID}})
			}
		}
	}()
	go func() {
		for {
			m, _, err := ends[0].Receive()
			if err != nil {
				return
			}
			if m.Ack != nil {
				g.book.acknowledged(*m.Ack)
			}
		}
	}()
	return g, s
}

var named = wire.Config{IPv6: true, Rules: egress.Rules{Grants: []nacre.NetworkGrant{
	{Host: "api.example.com", Scheme: "https", Ports: []int{443}}, {Host: "*.example.org", Scheme: "https", Ports: []int{443}}}}}

func question(name string, kind dnsmessage.Type, class dnsmessage.Class, edns bool) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: class}}}
	if edns {
		var h dnsmessage.ResourceHeader
		_ = h.SetEDNS0(4096, dnsmessage.RCodeSuccess, true)
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func TestResolve(t *testing.T) {
	g, s := newGateway(t, named)
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 45) + "."
	for _, c := range []struct {
		name  string
		kind  dnsmessage.Type
		code  dnsmessage.RCode
		count int
	}{
		{"api.example.com.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"API.eXample.com.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, 1},
		{"x.example.org.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"api.example.com.", dnsmessage.TypeTXT, dnsmessage.RCodeSuccess, 0},
		{"api.example.com.", dnsmessage.TypeMX, dnsmessage.RCodeSuccess, 0},
		{"api.example.com.", 65, dnsmessage.RCodeSuccess, 0}, // HTTPS
		{"api.example.com.", 64, dnsmessage.RCodeSuccess, 0}, // SVCB
		{"api.example.com.", dnsmessage.TypeALL, dnsmessage.RCodeSuccess, 0},
		{"x.y.example.org.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{"example.org.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{"api.example.com.lan.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0}, // a search domain
		{"api.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{"localhost.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{"evil.net.", dnsmessage.TypeTXT, dnsmessage.RCodeRefused, 0},
		{"1.0.18.198.in-addr.arpa.", dnsmessage.TypePTR, dnsmessage.RCodeRefused, 0},
		{"b\xc3\xbccher.example.org.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{"a\x00.example.org.", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{long, dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
		{".", dnsmessage.TypeA, dnsmessage.RCodeRefused, 0},
	} {
		for _, edns := range []bool{false, true} {
			var m dnsmessage.Message
			if err := m.Unpack(g.resolve(question(c.name, c.kind, dnsmessage.ClassINET, edns))); err != nil {
				t.Errorf("%q: %v", c.name, err)
				continue
			}
			if m.ID != 7 || !m.Response || m.RCode != c.code || len(m.Answers) != c.count {
				t.Errorf("%q %v: %+v", c.name, c.kind, m)
			}
			for _, a := range m.Answers {
				if a.Header.TTL > 30 {
					t.Errorf("may be kept for %d seconds", a.Header.TTL)
				}
			}
		}
	}
	if n := len(s.kinds()); n > 15 {
		t.Errorf("%d records of what was refused twice: %q", n, s.kinds())
	}
	var m dnsmessage.Message
	if err := m.Unpack(g.resolve(question("api.example.com.", dnsmessage.TypeA, dnsmessage.ClassCHAOS, false))); err != nil || m.RCode != dnsmessage.RCodeRefused {
		t.Errorf("another class: %v %v", m.RCode, err)
	}
	if g.resolve([]byte("x")) != nil || g.resolve(nil) != nil {
		t.Error("an answer to nothing")
	}
}

// TestNamesComeBack: an address is one name's, and stands for it when somebody
// connects there.
func TestNamesComeBack(t *testing.T) {
	n := newNames(true)
	now := time.Now()
	seen := map[uint32]bool{}
	for i := range 5000 {
		text := fmt.Sprintf("n%d.example.org", i)
		number, ok := n.address(text, now)
		if !ok || seen[number] || number < firstName {
			t.Fatalf("%s: %d %v", text, number, ok)
		}
		seen[number] = true
		for _, a := range []netip.Addr{netip.AddrFrom4(address4(number)), netip.AddrFrom16(address6(number))} {
			if back, ok := n.of(a); !ok || back != text || class(a) == "" {
				t.Fatalf("%v is %q", a, back)
			}
		}
	}
	if _, ok := n.of(netip.MustParseAddr("198.18.0.1")); ok {
		t.Error("the resolver's address is a name's")
	}
	if _, ok := n.of(netip.MustParseAddr("8.8.8.8")); ok {
		t.Error("a real address is a name's")
	}
}

// TestNamesRest: a full table refuses rather than give an address that may
// still be in use, and gives it again after a rest.
func TestNamesRest(t *testing.T) {
	n := newNames(false)
	now := time.Now()
	for i := range maxNames {
		if _, ok := n.address(fmt.Sprint(i), now); !ok {
			t.Fatal(i)
		}
	}
	if _, ok := n.address("one more", now.Add(rest/2)); ok {
		t.Error("an address that may be in use was given again")
	}
	if _, ok := n.address("one more", now.Add(2*rest)); !ok {
		t.Error("nothing was forgotten")
	}
}

// TestClasses: what is not a public address of the Internet is told as such,
// however it is written.
func TestClasses(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
		"100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
		"3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "192.88.99.1"} {
		if class(netip.MustParseAddr(a)) == "" {
			t.Errorf("%s counts as public", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.3.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:4860::8888"} {
		if why := class(netip.MustParseAddr(a)); why != "" {
			t.Errorf("%s counts as %s", a, why)
		}
	}
	if class(netip.Addr{}) == "" || class(netip.MustParseAddr("fe80::1%eth0")) == "" {
		t.Error("what is no address counts as public")
	}
}

// TestPermit: the address that is dialled decides, whatever the name was.
func TestPermit(t *testing.T) {
	d := newDialer(wire.Config{Own: []netip.Addr{netip.MustParseAddr("8.8.4.4")}})
	private := netip.MustParseAddr("10.0.0.7")
	for _, c := range []struct {
		address string
		granted netip.Addr
		ok      bool
	}{
		{"1.1.1.1:443", netip.Addr{}, true},
		{"127.0.0.1:443", netip.Addr{}, false},
		{"[::ffff:10.0.0.7]:443", netip.Addr{}, false},
		{"8.8.4.4:443", netip.Addr{}, false}, // this machine
		{"10.0.0.7:443", private, true},
		{"10.0.0.8:443", private, false},
		{"1.1.1.1:443", private, false},
	} {
		if err := d.permit(c.address, c.granted); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.address, err)
		}
	}
}

// TestRebinding: a name that leads to this machine, or first elsewhere and then
// here, is not dialled.
func TestRebinding(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			t.Error("something arrived")
			c.Close()
		}
	}()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	go nameServer(p, [][4]byte{{127, 0, 0, 1}, {10, 0, 0, 1}, {169, 254, 169, 254}})
	d := newDialer(wire.Config{Resolvers: []string{p.LocalAddr().String()}})
	for range 2 {
		_, err = d.dial(context.Background(), nacre.NetworkGrant{Host: "api.example.com"}, "api.example.com", l.Addr().(*net.TCPAddr).Port)
		if err == nil || !strings.Contains(err.Error(), "granted only by its address") {
			t.Errorf("%v", err)
		}
	}
}

// nameServer answers every question with the same addresses.
func nameServer(p net.PacketConn, addresses [][4]byte) {
	b := make([]byte, 1500)
	for {
		n, from, err := p.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil {
			continue
		}
		m.Response, m.Additionals = true, nil
		if m.Questions[0].Type == dnsmessage.TypeA {
			for _, a := range addresses {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: a}})
			}
		}
		if reply, err := m.Pack(); err == nil {
			_, _ = p.WriteTo(reply, from)
		}
	}
}

// TestRepeatedDenials: a program cannot fill the audit by being denied.
func TestRepeatedDenials(t *testing.T) {
	g, s := newGateway(t, named)
	for i := range 20000 {
		g.book.denied(context.Background(), nacre.Event{Kind: "name", Detail: map[string]string{"to": fmt.Sprint("n", i%(2*maxSeen))}})
	}
	g.book.close(context.Background())
	if n := len(s.kinds()); n < burst/2 || n > 2*burst+maxLeft {
		t.Errorf("%d records", n)
	}
}

func TestRecordNeedsAnAnswer(t *testing.T) {
	g, _ := newGateway(t, named)
	g.book.control.Close()
	if err := g.book.record(context.Background(), nacre.Event{}); err == nil {
		t.Error("recorded without a supervisor")
	}
	if err := g.intend(context.Background(), "request", nacre.Decision{}, nil); !errors.As(err, new(*refusal)) {
		t.Errorf("a zero decision: %v", err)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add(question("api.example.com.", dnsmessage.TypeA, dnsmessage.ClassINET, true))
	f.Add(question("evil.net.", dnsmessage.TypeTXT, dnsmessage.ClassINET, false))
	f.Add([]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	g, _ := newGateway(f, named)
	f.Fuzz(func(t *testing.T, b []byte) {
		reply := g.resolve(b)
		if reply == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil || !m.Response {
			t.Fatalf("%v", err)
		}
		if len(m.Answers) > 0 && !g.rules().Known(strings.ToLower(strings.TrimSuffix(m.Answers[0].Header.Name.String(), "."))) {
			t.Errorf("an answer for %q", m.Answers[0].Header.Name)
		}
	})
}

// FuzzHeading: whatever packet was turned away, what is told of it is one plain line
// with an address that stands in it; and so is what the kernel's report holds.
func FuzzHeading(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 8, 8, 8, 8, 1, 1, 1, 187})
	f.Add([]byte{0x4f, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 8, 8, 8, 8})
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 8, 17}, make([]byte, 41)...))
	form := regexp.MustCompile(`^(udp|icmp|protocol-[0-9]{1,3})://([0-9a-f:.]+|[0-9.]+:[0-9]+|\[[0-9a-f:.]+\]:[0-9]+)$`)
	f.Fuzz(func(t *testing.T, b []byte) {
		to, ok := heading(b)
		if !ok {
			return
		}
		_, where, _ := strings.Cut(to, "://")
		a, err := netip.ParseAddr(where)
		if at, wrong := netip.ParseAddrPort(where); wrong == nil {
			a, err = at.Addr(), nil
		}
		if !form.MatchString(to) || err != nil || !bytes.Contains(b, a.AsSlice()) || a.Is4() != (b[0]>>4 == 4) {
			t.Errorf("%x is told as %q", b, to)
		}
	})
}

// FuzzReported: whatever the kernel reports, of packets that a sandbox made, each is
// recorded once at most, and nothing is read twice.
func FuzzReported(f *testing.F) {
	packet := []byte{0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 8, 8, 8, 8, 1, 1, 1, 187}
	report := func(size, kind uint16, b []byte) []byte { // nlmsghdr, nfgenmsg, one attribute
		m := append(make([]byte, unix.SizeofNlMsghdr+4), binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, size), kind)...)
		m = append(m, b...)
		binary.NativeEndian.PutUint32(m, uint32(len(m)))
		return m
	}
	good := report(uint16(4+len(packet)), 9, packet)
	f.Add(good)
	f.Add(append(slices.Clone(good), good...))
	f.Add(report(0xffff, 9, packet))
	f.Add(report(3, 9, packet))
	f.Add(good[:unix.SizeofNlMsghdr])
	silent, _ := newGateway(f, named)
	silent.book.control.Close()
	f.Fuzz(func(t *testing.T, b []byte) {
		g := &Gateway{book: newBook(silent.book.control)}
		g.reported(b)
		count := 0
		for d, r := range g.book.seen {
			count += 1 + r.count
			if scheme, _, ok := strings.Cut(d.to, "://"); d.kind != "packet" || d.to != "many others" && (!ok || strings.Trim(scheme, "udpicmrotl-0123456789") != "") {
				t.Errorf("%x: %+v", b, d)
			}
		}
		if most := len(b) / (4 + 20); count > most { // an attribute's head, and an address's packet's
			t.Errorf("%d records of %d bytes", count, len(b))
		}
	})
}
