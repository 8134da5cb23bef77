package gateway

import "net/netip"

// classes are the ranges that are no public addresses of the Internet
// (IANA's registries of special-purpose addresses).
var classes = []struct {
	prefix netip.Prefix
	name   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, where cloud metadata is"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "special"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud metadata"},
	{netip.MustParsePrefix("2000::/3"), ""}, // what is global; exceptions before it count
	{netip.MustParsePrefix("::/0"), "not global"},
}

// within2000 are the parts of 2000::/3 that are not public.
var within2000 = []struct {
	prefix netip.Prefix
	name   string
}{
	{netip.MustParsePrefix("2001::/23"), "special, Teredo among it"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
}

// class says what an address is if it is not a public one; "" if it is.
func class(a netip.Addr) string {
	if a = a.Unmap(); !a.IsValid() || a.Zone() != "" {
		return "not an address"
	}
	for _, c := range within2000 {
		if c.prefix.Contains(a) {
			return c.name
		}
	}
	for _, c := range classes {
		if c.prefix.Contains(a) {
			return c.name
		}
	}
	return ""
}
