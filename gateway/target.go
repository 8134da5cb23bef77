package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"nacre/egress"
)

// intentOf is what a request wants. Its connection, and nothing in it, says
// where it goes.
func intentOf(r *http.Request) (egress.Intent, error) {
	v, ok := r.Context().Value(visitorKey).(*visitor)
	if !ok {
		return egress.Intent{}, errors.New("a request without a connection")
	}
	i := egress.Intent{Scheme: "http", Host: v.to.host, Port: v.to.port, Method: r.Method, Path: r.URL.EscapedPath(), Upgrade: upgrade(r)}
	if r.TLS != nil {
		i.Scheme = "https"
	}
	if i.Path == "" {
		i.Path = "/"
	}
	switch {
	case r.Method == egress.Fetch || r.Method == egress.Push:
		return i, errors.New("there is no such method in HTTP")
	case r.Method == http.MethodConnect:
		return i, errors.New("the gateway is no proxy: programs connect to hosts themselves")
	case !onlyPath(r):
		return i, errors.New("the gateway is no proxy: a request names a path, and neither an address nor anything else")
	case !sameHost(r.Host, i):
		return i, fmt.Errorf("the request is for %.200q and its connection is to %s", r.Host, i.Host)
	}
	return i, nil
}

// onlyPath tells whether a request's target, in whatever version of HTTP, is a path
// and perhaps a query: no address, no *, nothing that two readers take for two
// things.
func onlyPath(r *http.Request) bool {
	u := r.URL
	return strings.HasPrefix(r.RequestURI, "/") && u.Scheme+u.Host+u.Opaque+u.Fragment == "" && u.User == nil &&
		!strings.ContainsFunc(r.RequestURI, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' })
}

// authorityOf is a host as a request names it: with its port where that is not
// the scheme's own.
func authorityOf(scheme, host string, port int) string {
	if port == standard(scheme) {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// standard is the port of a scheme.
func standard(scheme string) int { return map[string]int{"http": 80, "https": 443}[scheme] }

// sameHost tells whether a request's host is where its connection goes.
func sameHost(host string, i egress.Intent) bool {
	port := standard(i.Scheme)
	if bare, number, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || strconv.Itoa(int(n)) != number {
			return false
		}
		host, port = bare, int(n)
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	name, ok := egress.Name(host)
	return ok && name == i.Host && port == i.Port
}

// upgrade is the protocol that a request asks to change to.
func upgrade(r *http.Request) string {
	if r.ProtoMajor == 2 && r.Header.Get(":protocol") != "" {
		return strings.ToLower(r.Header.Get(":protocol"))
	}
	return strings.ToLower(r.Header.Get("Upgrade"))
}
