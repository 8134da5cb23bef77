package gateway

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// names gives each allowed name an address that is nobody's, and knows them
// again when a program connects there. What is looked up outside is looked up
// at that time, after the decision.
type names struct {
	mu     sync.Mutex
	ipv6   bool
	number map[string]uint32
	name   map[uint32]*name
	next   uint32
}

type name struct {
	text string
	used time.Time
}

const (
	firstName = 256     // below are addresses with a meaning, such as the resolver's
	maxNames  = 1 << 16 // of the 2^17 of 198.18.0.0/15
	// rest is how long an address is nobody's before it is another name's: longer
	// than any answer may be kept.
	rest   = 10 * time.Minute
	maxTTL = 10 // seconds
)

func newNames(ipv6 bool) *names {
	return &names{ipv6: ipv6, number: map[string]uint32{}, name: map[uint32]*name{}, next: firstName}
}

// address gives a name its address; false where there are too many names.
func (n *names) address(text string, now time.Time) (uint32, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number, ok := n.number[text]; ok {
		n.name[number].used = now
		return number, true
	}
	if len(n.name) >= maxNames && !n.forget(now) {
		return 0, false
	}
	for n.name[n.next] != nil {
		n.advance()
	}
	number := n.next
	n.advance()
	n.number[text], n.name[number] = number, &name{text, now}
	return number, true
}

func (n *names) advance() {
	if n.next++; n.next >= 1<<17 {
		n.next = firstName
	}
}

// forget makes room: what was not asked for in a while is no longer in use.
func (n *names) forget(now time.Time) (some bool) {
	for number, entry := range n.name {
		if now.Sub(entry.used) > rest {
			delete(n.number, entry.text)
			delete(n.name, number)
			some = true
		}
	}
	return some
}

// of is the name that an address was given to.
func (n *names) of(a netip.Addr) (string, bool) {
	number, ok := numberOf(a)
	if !ok {
		return "", false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	entry := n.name[number]
	if entry == nil {
		return "", false
	}
	entry.used = time.Now()
	return entry.text, true
}

var (
	// range4 is for benchmarks of networks (RFC 2544): on no real network.
	range4 = netip.MustParsePrefix("198.18.0.0/15")
	// range6 is a unique local prefix (RFC 4193).
	range6 = netip.MustParsePrefix("fd6e:6163:7265::/96")
)

// address4 and address6 are the addresses of a number.
func address4(number uint32) [4]byte {
	a := range4.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|number)
	return a
}

func address6(number uint32) [16]byte {
	a := range6.Addr().As16()
	binary.BigEndian.PutUint32(a[12:], number)
	return a
}

func numberOf(a netip.Addr) (uint32, bool) {
	switch a = a.Unmap(); {
	case range4.Contains(a):
		b := a.As4()
		return binary.BigEndian.Uint32(b[:]) & (1<<17 - 1), true
	case range6.Contains(a):
		b := a.As16()
		return binary.BigEndian.Uint32(b[12:]), true
	}
	return 0, false
}
