package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/net/http2/hpack"

	"nacre/attack/wire"
)

func egressWebProbes() []probe {
	reflection := claimed(egress("reflection", "CWE-200", "have the granted host say the credential again, in headers, trailers and body, plain, coded, in pieces and compressed",
		"masked, or not passed on", nil), reflected)
	reflection.proof = wire.BySecret
	return []probe{
		egress("fronting", "RFC 9110 7.4, domain fronting", "name one host in the handshake and another in the request, twice, as an absolute address, and in HTTP/2's two places", "denied", fronting),
		egress("smuggling", "CWE-444, RFC 9112 11.2", "hide a request in another: two lengths, codings in odd spellings, folded lines, bare line ends, odd chunks", "denied, or one request in one reading", smuggling),
		egress("pipelining", "RFC 9112 9.3.2", "send denied requests behind granted ones on one connection", "each is decided upon", pipelining),
		egress("path-tricks", "RFC 3986 6.2.2", "reach a denied path by another spelling of a granted one", "denied", pathTricks),
		egress("methods", "RFC 9110 9", "use methods that are not granted, and headers that make one method or path mean another", "denied, or the headers are dropped", otherMethods),
		egress("connect", "RFC 9110 9.3.6, RFC 8441, RFC 1928", "use the gateway or the granted host as a proxy", "denied", connects),
		egress("upgrade", "RFC 9113 3.1, RFC 6455", "change the protocol and say what is denied behind it", "denied; no upgrade arrives", upgrades),
		egress("frames", "RFC 6455 5, CWE-444", "behind a WebSocket that is granted, or was asked for and refused, say what is no frame: requests, extensions, odd lengths and kinds", "the WebSocket ends; denied", frames),
		egress("own-key", "a hijacked agent with an account at the granted host", "send a key of its own to the host that gets the owner's credential, in every place for one", "dropped", ownKeys),
		stoodIn(), reflection,
		egress("redirect", "RFC 9110 15.4", "have the granted host redirect the gateway elsewhere", "not followed", redirects),
		claimed(egress("decompression-bomb", "CWE-409", "have the gateway unpack a reply that grows a thousandfold, and send it heads without end", "it goes on", nil), bombs),
	}
}

func fronting(o *way) []attempt {
	host, other := o.at(o.RawPort), fmt.Sprintf("%s:%d", o.Other, o.RawPort)
	get := func(uri string, lines ...string) string {
		return "GET " + uri + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\nConnection: close\r\n\r\n"
	}
	path := "/open/" + o.token
	list := []attempt{
		o.says("host", get(path, "Host: "+other)), o.says("host without port", get(path, "Host: "+o.Host)), o.says("two hosts", get(path, "Host: "+host, "Host: "+other)),
		o.says("two hosts, the other first", get(path, "Host: "+other, "Host: "+host)), o.says("a list", get(path, "Host: "+host+", "+other)),
		o.says("absolute", get("https://"+other+path, "Host: "+host)), o.says("absolute, both", get("https://"+host+path, "Host: "+other)), o.says("no host", get(path, "X: y")),
		o.says("empty host", get(path, "Host:")), o.says("userinfo", get(path, "Host: "+host+"@"+other)), o.says("space", get(path, "Host: "+host+" "+other)),
		o.says("tab", get(path, "Host:\t"+other)), o.says("folded", get(path, "X: y\r\n Host: "+other, "Host: "+host)), o.says("slashes", get("//"+other+path, "Host: "+host)),
	}
	for _, name := range []string{o.Other, "", o.Host + ".", strings.ToUpper(o.Host), "x." + o.Host, o.Host + "\x00." + o.Other} {
		list = append(list, attempt{"handshake as " + name, func() error {
			reply, err := o.talk(o.RawPort, name, o.denied(o.RawPort))
			return fmt.Errorf("%s %v", firstLine(reply), err)
		}})
	}
	for name, fields := range map[string][]hpack.HeaderField{
		"authority":          o.fields("GET", path, other),
		"authority and host": append(o.fields("GET", path, o.at(o.TLSPort)), hpack.HeaderField{Name: "host", Value: other}),
		"host only":          {{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}, {Name: "host", Value: other}},
		"two authorities":    append(o.fields("GET", path, o.at(o.TLSPort)), hpack.HeaderField{Name: ":authority", Value: other}),
		"scheme":             {{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http://" + other + "/"}, {Name: ":path", Value: "/closed/" + o.token}, {Name: ":authority", Value: other}},
	} {
		list = append(list, o.streams("HTTP/2 "+name, fields))
	}
	return list
}

// fields are the pseudo-headers of a request of HTTP/2.
func (o *way) fields(method, path, authority string) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}, {Name: ":authority", Value: authority}}
}

// What HTTP/2 consists of (RFC 9113, 3.4, 4.1, 6).
const (
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	headersFrame  = 1
	resetFrame    = 3
	settingsFrame = 4
	goAwayFrame   = 7
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}, payload...)
}

// streams sends requests on one connection of HTTP/2, each as it is.
func (o *way) streams(name string, requests ...[]hpack.HeaderField) attempt {
	return attempt{name, func() error {
		c, err := o.secure(o.TLSPort, o.Host, "h2")
		if err != nil {
			return errors.New(shortError(err))
		}
		defer c.Close()
		said := append([]byte(preface), frame(settingsFrame, 0, 0, nil)...)
		for i, fields := range requests {
			var block bytes.Buffer
			e := hpack.NewEncoder(&block)
			for _, field := range fields {
				_ = e.WriteField(field)
			}
			const endStream, endHeaders = 1, 4
			said = append(said, frame(headersFrame, endStream|endHeaders, uint32(2*i+1), block.Bytes())...)
		}
		if _, err := c.Write(said); err != nil {
			return errors.New(shortError(err))
		}
		for answered := 0; answered < len(requests); {
			var head [9]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return errors.New(shortError(err))
			}
			if _, err := io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
				return errors.New(shortError(err))
			}
			if head[3] == headersFrame || head[3] == resetFrame || head[3] == goAwayFrame {
				answered++
			}
		}
		return errors.New("answered")
	}}
}

func smuggling(o *way) (list []attempt) {
	hidden := o.denied(o.RawPort)
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	chunked, end := "Transfer-Encoding: chunked", "0\r\n\r\n"
	post := func(body string, headers ...string) string {
		return o.request("POST", "/open/x", o.RawPort, headers...) + body
	}
	sized := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for name, what := range map[string]string{
		"CL.TE": post(end+hidden, length(len(end)+len(hidden)), chunked), "CL.TE, short": post(end+hidden, length(4), chunked), "TE.CL": post(sized, chunked, length(4)),
		"TE.TE": post(end+hidden, chunked, "Transfer-Encoding: identity"), "TE, gzip": post(end+hidden, "Transfer-Encoding: gzip, chunked"), "TE, xchunked": post(end+hidden, "Transfer-Encoding: xchunked"),
		"TE, space before colon": post(end+hidden, length(len(end)+len(hidden)), "Transfer-Encoding : chunked"), "TE, tab": post(end+hidden, length(len(end)+len(hidden)), "Transfer-Encoding:\tchunked"),
		"TE, vertical tab": post(end+hidden, length(len(end)+len(hidden)), "Transfer-Encoding: \x0bchunked"), "TE, quoted": post(end+hidden, length(3), `Transfer-Encoding: "chunked"`),
		"TE, folded": post(end+hidden, length(len(end)+len(hidden)), "Transfer-Encoding:\r\n chunked"), "TE, hidden by a line": post(end+hidden, length(len(end)+len(hidden)), "X: y\nTransfer-Encoding: chunked"),
		"TE, upper case": post(end+hidden, "TRANSFER-ENCODING: CHUNKED"), "TE in HTTP/1.0": strings.Replace(post(end+hidden, length(3), chunked), "HTTP/1.1", "HTTP/1.0", 1),
		"two lengths": post("x"+hidden, length(1), length(1+len(hidden))), "a list of lengths": post("x"+hidden, fmt.Sprintf("Content-Length: 1, %d", 1+len(hidden))),
		"plus": post("x"+hidden, "Content-Length: +1"), "minus": post(hidden, "Content-Length: -1"), "hex": post("x"+hidden, "Content-Length: 0x1"), "octal": post("xxxxxxxx"+hidden, "Content-Length: 010"),
		"huge length": post(hidden, "Content-Length: 18446744073709551616"), "length with a space": post("x"+hidden, "Content-Length: 1 0"), "underscore": post("x"+hidden, "Content_Length: 0", length(1)),
		"bare LF": strings.ReplaceAll(post("", length(0)), "\r\n", "\n") + hidden, "bare CR": post("", "X: a\rContent-Length: 5", length(0)) + hidden, "NUL": post(hidden, "X: a\x00b", length(0)),
		"chunk extension": post("0;a=b\r\n\r\n"+hidden, chunked), "chunk extension with a line": post("5;a=\nxx\r\nhello\r\n0\r\n\r\n"+hidden, chunked), "chunk extension, long": post("0;"+strings.Repeat("a", 20000)+"\r\n\r\n"+hidden, chunked),
		"huge chunk": post("fffffffffffffffff\r\n"+hidden, chunked), "negative chunk": post("-1\r\n"+hidden, chunked), "chunk 0x": post("0x0\r\n\r\n"+hidden, chunked), "chunk, bare LF": post("0\n\n"+hidden, chunked),
		"chunk, no end": post("1\r\nxx\r\n0\r\n\r\n"+hidden, chunked), "body of GET": o.request("GET", "/open/x", o.RawPort, length(len(hidden))) + hidden, "GET, no length": o.request("GET", "/open/x", o.RawPort) + hidden,
		"expect": post(hidden, "Expect: 100-continue", length(len(hidden))), "expect, other": post(hidden, "Expect: something", length(0)), "HTTP/0.9": "GET /closed/" + o.token + "\r\n\r\n",
		"first line": "GET /open/x HTTP/1.1\r\nGET /closed/" + o.token + " HTTP/1.1\r\n\r\n", "two spaces": "GET /open/x  HTTP/1.1 /closed/" + o.token + " HTTP/1.1\r\nHost: " + o.at(o.RawPort) + "\r\n\r\n",
		"line in the path": "GET /open/x%0d%0a HTTP/1.1\r\nX: y\r\n\r\n" + hidden, "empty lines": "\r\n\r\n\r\n" + hidden, "another version": strings.Replace(hidden, "HTTP/1.1", "HTTP/1.2", 1), "version 2": strings.Replace(hidden, "HTTP/1.1", "HTTP/2.0", 1),
		"trailer": post("1\r\nx\r\n0\r\nContent-Length: 0\r\nHost: "+o.Other+"\r\nAuthorization: "+o.token+"\r\n\r\n", chunked, "Trailer: Authorization", "Connection: close"),
		"preface": preface + hidden,
	} {
		list = append(list, o.says(name, what))
	}
	return list
}

func pipelining(o *way) []attempt {
	open := o.request("GET", "/open/x", o.RawPort)
	at := o.at(o.TLSPort)
	return []attempt{
		o.says("behind a granted one", open+o.denied(o.RawPort)), o.says("behind many", strings.Repeat(open, 20)+o.denied(o.RawPort)+open),
		o.says("behind a denied one", o.denied(o.RawPort)+o.denied(o.RawPort)), o.says("another host", open+fmt.Sprintf("GET /open/%s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", o.token, o.Other, o.RawPort)),
		o.streams("streams of HTTP/2", o.fields("GET", "/open/x", at), o.fields("GET", "/closed/"+o.token, at), o.fields("DELETE", "/open/"+o.token, at), o.fields("GET", "/open/x", at)),
	}
}

func pathTricks(o *way) (list []attempt) {
	for _, p := range []string{"/closed/", "/open/../closed/", "/open/%2e%2e/closed/", "/open/.%2e/closed/", "/open/%2E%2E/closed/", "/open/%252e%252e/closed/", "/open/..%2fclosed/", "/open/..%2Fclosed/",
		"/open/..%5cclosed/", `/open/..\closed/`, "/open//../closed/", "/open/./../closed/", "/open/..;/closed/", "/open/..;a=b/closed/", "/open;/../closed/", "//closed/", "/open/../../closed/", "/./closed/",
		"/OPEN/", "/Open/", "/open./", "/open%00/", "/open/..%00/closed/", "/open/%c0%ae%c0%ae/closed/", "/open/%uff0e%uff0e/closed/", "/open/.../closed/..%2f..%2f../closed/", "/open/x/../../closed/",
		"/openx/", "/open%2f../closed/", "/closed/%2e%2e/open/../closed/", "/open/%2e%2e%2fclosed%2f", "/%6fpen/../closed/", "/open/..%3b/closed/", "closed/", "*", "?/open/", "/closed?/open/", "/closed#/open/", "/open\t/../closed/", "/..%2fclosed/"} {
		list = append(list, o.says(p, o.request("GET", p+o.token, o.RawPort, "Connection: close")))
	}
	at := o.at(o.TLSPort)
	for _, p := range []string{"/open/%2e%2e/closed/" + o.token, "closed/" + o.token, "/open/x HTTP/1.1\r\nX: " + o.token, "https://" + o.Other + "/" + o.token, "https:closed/" + o.token, "x:/closed/" + o.token, "https://user:own@" + at + "/closed/" + o.token, "/open/x#" + o.token, "", "/open/ /../closed/" + o.token} {
		list = append(list, o.streams("HTTP/2 "+p, o.fields("GET", p, at)))
	}
	return append(list, o.says("a long one", o.request("GET", "/closed/"+strings.Repeat("a/../", 2000)+o.token, o.RawPort, "Connection: close")))
}

func otherMethods(o *way) (list []attempt) {
	for _, m := range []string{"DELETE", "PUT", "PATCH", "TRACE", "TRACK", "OPTIONS", "PROPFIND", "MOVE", "DEBUG", "PRI", "get", "Get", "GET\t", "GETDELETE", "FETCH", "PUSH", "PURGE", "SEARCH"} {
		list = append(list, o.says(m, o.request(m, "/open/"+o.token, o.RawPort, "Connection: close")))
	}
	for _, h := range []string{"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE", "X-Original-URL: /closed/", "X-Rewrite-URL: /closed/", "X-Original-URI: /closed/", "x_http_method_override: DELETE"} {
		list = append(list, o.says(h, o.request("POST", "/open/"+o.token, o.RawPort, h, "Content-Length: 0", "Connection: close")))
	}
	return list
}

func connects(o *way) (list []attempt) {
	other := fmt.Sprintf("127.0.0.1:%d", o.config.TCP4)
	for _, target := range []string{other, o.Other + ":443", o.at(o.RawPort), "/open/" + o.token, "http://" + other + "/", "*"} {
		list = append(list, o.says("CONNECT "+target, "CONNECT "+target+" HTTP/1.1\r\nHost: "+o.at(o.RawPort)+"\r\nX: "+o.token+"\r\n\r\n"+o.token+"\n"))
	}
	at := o.at(o.TLSPort)
	list = append(list, o.streams("HTTP/2 CONNECT", []hpack.HeaderField{{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: other}, {Name: "x", Value: o.token}}),
		o.streams("extended CONNECT", append(o.fields("CONNECT", "/open/"+o.token, at), hpack.HeaderField{Name: ":protocol", Value: "websocket"})),
		o.says("proxy headers", o.request("GET", "/open/"+o.token, o.RawPort, "Proxy-Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(o.token)), "Proxy-Connection: keep-alive", "Connection: close")))
	for name, what := range map[string]string{"SOCKS5": "\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + string([]byte{byte(o.config.TCP4 >> 8), byte(o.config.TCP4)}) + o.token + "\n",
		"SOCKS4": "\x04\x01" + string([]byte{byte(o.config.TCP4 >> 8), byte(o.config.TCP4)}) + "\x7f\x00\x00\x01\x00" + o.token + "\n", "PROXY": "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + o.denied(o.RawPort),
		"in the clear": o.denied(o.RawPort), "SSH": "SSH-2.0-" + o.token + "\r\n"} {
		list = append(list, attempt{name, func() error {
			c, err := net.Dial("tcp", o.at(o.RawPort))
			if err != nil {
				return errors.New(shortError(err))
			}
			defer c.Close()
			_, _ = io.WriteString(c, what)
			return o.heard(c)
		}})
	}
	return list
}

// heard waits for a word.
func (o *way) heard(c net.Conn) error {
	reply, err := readFor(c)
	return fmt.Errorf("%s %v", firstLine(reply), err)
}

func upgrades(o *way) (list []attempt) {
	for _, h := range []string{"Upgrade: websocket", "Upgrade: h2c", "Upgrade: h2c, websocket", "Upgrade: WebSocket", "Upgrade: TLS/1.0", "Upgrade: x\r\nUpgrade: websocket", "upgrade : websocket", "Upgrade:\r\n websocket"} {
		settings := "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
		list = append(list, o.says(h, o.request("GET", "/open/"+o.token, o.RawPort, "Connection: Upgrade, HTTP2-Settings", h, settings, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")+o.denied(o.RawPort)),
			o.says(h+", denied path", o.request("GET", "/closed/"+o.token, o.RawPort, "Connection: Upgrade", h, settings)+o.denied(o.RawPort)),
			o.says(h+", by another connection header", o.request("GET", "/open/"+o.token, o.RawPort, "Connection: keep-alive", h)))
	}
	return append(list, attempt{"h2c by prior knowledge", func() error {
		c, err := net.Dial("tcp", o.at(o.TLSPort))
		if err != nil {
			return errors.New(shortError(err))
		}
		defer c.Close()
		_, _ = io.WriteString(c, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"+o.token)
		return o.heard(c)
	}})
}

// webSocket is a request for one.
func (o *way) webSocket(path string, headers ...string) string {
	return o.request("GET", path, o.RawPort, append(headers, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")...)
}

// messages is what comes in short frames of a server's, put together.
func messages(reply string) string {
	_, rest, _ := strings.Cut(reply, "\r\n\r\n")
	var all, controls strings.Builder
	for len(rest) >= 4 {
		length, head := int(rest[1]&0x7f), 2
		if length == 126 {
			length, head = int(rest[2])<<8|int(rest[3]), 4
		}
		end := min(head+length, len(rest))
		if rest[0]&8 == 0 {
			all.WriteString(rest[head:end])
		} else {
			controls.WriteString(rest[head:end])
		}
		rest = rest[end:]
	}
	return all.String() + "\n" + controls.String()
}

// masked is a short frame of a program's.
func masked(first byte, text string) string {
	return string([]byte{first, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}

// frames says what is no frame where frames are expected, and frames where none are.
func frames(o *way) (list []attempt) {
	behind := map[string]string{
		"a request": o.denied(o.RawPort), "unmasked": "\x81" + string([]byte{byte(len(o.token))}) + o.token, "compressed": masked(0xc1, o.token), "RSV2": masked(0xa2, o.token), "RSV3": masked(0x91, o.token),
		"kind 3": masked(0x83, o.token), "kind 11": masked(0x8b, o.token), "ping in pieces": masked(0x09, o.token), "long ping": "\x89\xfe\x01\x00\x00\x00\x00\x00" + o.token + strings.Repeat("x", 256),
		"going on": masked(0x80, o.token), "within another": masked(0x01, "a") + masked(0x81, o.token), "odd length": "\x82\xfe\x00\x30\x00\x00\x00\x00" + o.token + strings.Repeat("x", 48),
		"endless length": "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00" + o.denied(o.RawPort), "after the end": masked(0x88, "") + o.denied(o.RawPort), "a request in a frame's place": masked(0x81, "ok") + o.denied(o.RawPort),
	}
	for name, what := range behind {
		list = append(list, o.says(name, o.webSocket("/chat/"+o.token)+what), o.says(name+", extension offered", o.webSocket("/chat/"+o.token, "Sec-WebSocket-Extensions: permessage-deflate")+what),
			o.says(name+", refused outside", o.webSocket("/chat/no")+what+o.denied(o.RawPort)), o.says(name+", refused inside", o.webSocket("/open/"+o.token)+what+o.denied(o.RawPort)))
	}
	for name, ask := range map[string]string{"another version": strings.Replace(o.webSocket("/chat/x"), "Version: 13", "Version: 777", 1), "no key": strings.Replace(o.webSocket("/chat/x"), "Sec-WebSocket-Key", "X", 1),
		"a body": o.webSocket("/chat/x", fmt.Sprintf("Content-Length: %d", len(o.denied(o.RawPort)))), "POST": strings.Replace(o.webSocket("/chat/x"), "GET", "POST", 1), "HTTP/1.0": strings.Replace(o.webSocket("/chat/x"), "HTTP/1.1", "HTTP/1.0", 1),
		"twice": o.webSocket("/chat/x") + o.webSocket("/closed/"+o.token)} {
		list = append(list, o.says(name, ask+o.denied(o.RawPort)+o.denied(o.RawPort)))
	}
	return list
}

func ownKeys(o *way) (list []attempt) {
	b := base64.StdEncoding.EncodeToString([]byte("user:" + o.token))
	for _, h := range []string{"Authorization: Bearer " + o.token, "authorization: token " + o.token, "Authorization: Basic " + b, "Cookie: session=" + o.token, "X-Api-Key: " + o.token, "Api-Key: " + o.token,
		"X-Auth-Token: " + o.token, "X-Goog-Api-Key: " + o.token, "Private-Token: " + o.token, "X-Figma-Token: " + o.token, "X-Any-Session-Key: " + o.token, "X-Signature-Input: " + o.token, "Proxy-Authorization: Basic " + b, "Connection: authorization\r\nAuthorization: " + o.token} {
		list = append(list, o.says(h[:20], o.request("GET", "/open/x", o.RawPort, h, "Connection: close")), o.says("twice", o.request("GET", "/open/x", o.RawPort, h, h, "Connection: close")))
	}
	at := o.at(o.TLSPort)
	return append(list, o.says("in the query", o.request("GET", "/open/x?access_token="+o.token, o.RawPort, "Connection: close")),
		o.says("in the query, escaped", o.request("GET", "/open/x?a=b&acces%73_token="+o.token, o.RawPort, "Connection: close")),
		o.says("in the query, by another name", o.request("GET", "/open/x?privateToken="+o.token, o.RawPort, "Connection: close")),
		o.says("in the query, as a list", o.request("GET", "/open/x?a;key%5B%5D="+o.token, o.RawPort, "Connection: close")),
		o.says("in a trailer", o.request("POST", "/open/x", o.RawPort, "Transfer-Encoding: chunked", "Trailer: Authorization, Cookie", "Connection: close")+"0\r\nAuthorization: "+o.token+"\r\nCookie: "+o.token+"\r\n\r\n"),
		o.streams("HTTP/2", append(o.fields("GET", "/open/x", at), hpack.HeaderField{Name: "authorization", Value: "Bearer " + o.token}, hpack.HeaderField{Name: "cookie", Value: o.token}, hpack.HeaderField{Name: "cookie", Value: "b=" + o.token})))
}

func redirects(o *way) (list []attempt) {
	for _, code := range []int{300, 301, 302, 303, 307, 308} {
		for _, to := range []string{fmt.Sprintf("http://127.0.0.1:%d/%s", o.config.TCP4, o.token), fmt.Sprintf("https://%s:%d/closed/%s", o.Host, o.RawPort, o.token), "/closed/" + o.token} {
			list = append(list, o.says(fmt.Sprint(code), o.request("GET", fmt.Sprintf("/open/redirect?code=%d&to=%s", code, to), o.RawPort, "Connection: close")))
		}
	}
	return list
}

// reflected reads what comes back as one who looks for the credential.
func reflected(o *way) outcome {
	answers := 0
	for _, path := range []string{"/open/reflect", "/open/reflect?a", "/open/reflect-compressed"} {
		for _, headers := range [][]string{{"Connection: close"}, {"Connection: close", "Accept-Encoding: gzip, br"}, {"Connection: close", "Range: bytes=0-40"}, {"Connection: close", "TE: trailers"}} {
			reply, err := o.talk(o.RawPort, o.Host, o.request("GET", path, o.RawPort, headers...))
			if err != nil {
				continue
			}
			answers++
			if out, ok := stolen(o.config, path, []byte(readings(reply)+unzipped(reply))); ok {
				return out
			}
		}
	}
	reply, err := o.talk(o.RawPort, o.Host, o.webSocket("/chat/reflect"))
	if out, ok := stolen(o.config, "a WebSocket", []byte(readings(messages(reply)))); ok {
		return out
	}
	if err == nil && strings.HasPrefix(firstLine(reply), "HTTP/1.1 101 ") {
		answers++
	}
	return contained("%d answers, none with the credential", answers)
}

// bombs come down and go up; the gateway has to be there afterwards.
func bombs(o *way) outcome {
	c, err := o.secure(o.RawPort, o.Host, "http/1.1")
	if err != nil {
		return failed("%v", err)
	}
	_, _ = io.WriteString(c, o.request("GET", "/open/bomb", o.RawPort, "Accept-Encoding: gzip", "Connection: close"))
	n, _ := io.Copy(io.Discard, io.LimitReader(c, 64<<20))
	c.Close()
	for _, headers := range []string{strings.Repeat("X-Bomb: "+strings.Repeat("a", 1000)+"\r\n", 4000), "X: " + strings.Repeat("a", 4<<20) + "\r\n", strings.Repeat("a: b\r\n", 100000)} {
		_, _ = o.talk(o.RawPort, o.Host, strings.TrimSuffix(o.request("GET", "/open/x", o.RawPort), "\r\n")+headers+"\r\n")
	}
	if err := o.hello(); err != nil {
		return escaped("the gateway is gone: %v", err)
	}
	return contained("%d bytes came, and the gateway goes on", n)
}

// hiddenName asks for a name that is encrypted in the handshake.
func hiddenName(o *way) []attempt {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil
	}
	p := key.PublicKey().Bytes()
	body := append([]byte{1, 0, 0x20, 0, byte(len(p))}, p...)
	body = append(body, 0, 4, 0, 1, 0, 1, 0, byte(len(o.Host)))
	body = append(append(body, o.Host...), 0, 0)
	config := append([]byte{0xfe, 0x0d, 0, byte(len(body))}, body...)
	list := append([]byte{0, byte(len(config))}, config...)
	return []attempt{{"encrypted client hello", func() error {
		c, err := tls.Dial("tcp", o.at(o.RawPort), &tls.Config{ServerName: o.Other, MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: list,
			EncryptedClientHelloRejectionVerify: func(tls.ConnectionState) error { return nil }})
		if err != nil {
			return errors.New(shortError(err))
		}
		defer c.Close()
		_, _ = io.WriteString(c, o.denied(o.RawPort))
		return o.heard(c)
	}}}
}
