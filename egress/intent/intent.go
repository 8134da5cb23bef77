// Package intent reads what people ask about: an intent as they write it, and as it
// prints. It decides nothing: that is for package egress.
package intent

import (
	"fmt"
	"strconv"
	"strings"

	"nacre/egress"
)

// Parse reads "METHOD https://host/path" or "tcp://host:port".
func Parse(s string) (egress.Intent, error) {
	i := egress.Intent{Method: "GET"}
	method, target, ok := strings.Cut(s, " ")
	if ok {
		i.Method = method
	} else {
		target = s
	}
	scheme, rest, _ := strings.Cut(target, "://")
	expected := fmt.Errorf("expected METHOD https://host/path or tcp://host:port, found %q", s)
	i.Scheme = scheme
	if i.Port, ok = map[string]int{"https": 443, "http": 80, "ssh": 22, "tcp": 0}[scheme]; !ok {
		return i, expected
	}
	host, path, _ := strings.Cut(rest, "/")
	i.Path, _, _ = strings.Cut("/"+path, "?")
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		number, err := strconv.ParseUint(host[at+1:], 10, 16)
		if err != nil {
			return i, expected
		}
		host, i.Port = host[:at], int(number)
	}
	if i.Host, ok = egress.Name(strings.Trim(host, "[]")); !ok || i.Port == 0 {
		return i, expected
	}
	if scheme == "tcp" {
		i.Method, i.Path = "", ""
	}
	return i, nil
}
