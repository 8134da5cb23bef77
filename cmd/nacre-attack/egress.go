package main

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"nacre/attack/wire"
)

// What the probes of class egress share. Each of them first reaches what is
// granted, so that a network which is simply down is not taken for one that holds.

// patience is how long an attempt waits for an answer.
const patience = 4 * time.Second

// way is one probe's view of the network.
type way struct {
	wire.Outward
	config *wire.Config
	token  string
}

// attempt is one way to get out; what it returns is evidence.
type attempt struct {
	name string
	try  func() error
}

// egress makes a probe that reaches the granted host, then tries every way, all at
// once.
func egress(id, ref, how, good string, attempts func(*way) []attempt) probe {
	return probe{id: "egress." + id, ref: ref, how: how, good: good, proof: wire.ByArrival, bare: true, needs: []string{"canary:outward"}, timeout: time.Minute,
		run: func(c *wire.Config, p *probe) outcome {
			o := &way{c.Outward, c, wire.Token(c.Run, p.id)}
			if err := o.hello(); err != nil {
				return failed("what is granted: %v", err)
			}
			var d doors
			var mu sync.Mutex
			var all sync.WaitGroup
			for _, a := range attempts(o) {
				all.Go(func() {
					err := a.try()
					mu.Lock()
					defer mu.Unlock()
					d.tried(a.name, err)
				})
			}
			all.Wait()
			return d.outcome()
		}}
}

// claimed is a probe whose answer only the inside knows.
func claimed(p probe, run func(*way) outcome) probe {
	p.proof = wire.ByClaim
	p.run = func(c *wire.Config, p *probe) outcome {
		o := &way{c.Outward, c, wire.Token(c.Run, p.id)}
		if err := o.hello(); err != nil {
			return failed("what is granted: %v", err)
		}
		return run(o)
	}
	return p
}

// at is a port of the granted host.
func (o *way) at(port int) string { return net.JoinHostPort(o.Host, strconv.Itoa(port)) }

// hello reaches what is granted, on a machine that may have much else to do.
func (o *way) hello() error {
	var reply string
	err := errors.New("not tried")
	for tries := 0; err != nil && tries < 5; tries++ {
		reply, err = o.talk(o.RawPort, o.Host, o.request("GET", "/open/hello?"+o.token, o.RawPort, "Connection: close"))
	}
	if err == nil && !strings.Contains(reply, "reached") {
		err = fmt.Errorf("it answers %.200q", reply)
	}
	return err
}

// request is a request of HTTP/1.1 to the granted host.
func (o *way) request(method, path string, port int, headers ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", fmt.Sprintf("Host: %s:%d", o.Host, port)}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// denied is a request that is granted to nobody, with this probe's token.
func (o *way) denied(port int) string { return o.request("POST", "/closed/"+o.token, port) }

// secure opens TLS to a port of the granted host; the server's name is as given.
// An attacker trusts anybody.
func (o *way) secure(port int, sni string, protocols ...string) (*tls.Conn, error) {
	return o.secureAt(o.Host, port, sni, protocols...)
}

// secureAt does it at any host.
func (o *way) secureAt(host string, port int, sni string, protocols ...string) (*tls.Conn, error) {
	c, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), patience)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t := tls.Client(c, &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: protocols})
	if err := t.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

// talk says something inside TLS, as HTTP/1.1, and returns what comes back.
func (o *way) talk(port int, sni, what string) (string, error) {
	c, err := o.secure(port, sni, "http/1.1")
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, what); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(io.LimitReader(c, 1<<20))
	if len(reply) > 0 {
		err = nil
	}
	return string(reply), err
}

// says tries to have something sent to the granted host. An answer is no proof of
// anything: what arrives is for the judge to see.
func (o *way) says(name, what string) attempt {
	return attempt{name, func() error {
		reply, err := o.talk(o.RawPort, o.Host, what)
		if err != nil {
			return errors.New(shortError(err))
		}
		return errors.New(firstLine(reply))
	}}
}

// knocks says something to an address.
func (o *way) knocks(network, address string) attempt {
	return attempt{network + " " + address, func() error {
		c, err := net.DialTimeout(network, address, patience)
		if err != nil {
			return errors.New(shortError(err))
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if network == "udp" {
			_ = c.SetDeadline(time.Now().Add(patience / 8))
		}
		if _, err = io.WriteString(c, o.token+"\n"); err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		if err == nil {
			return errors.New("answered")
		}
		return errors.New(shortError(err))
	}}
}

// readFor reads what comes within the time.
func readFor(c net.Conn) (string, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	reply, err := io.ReadAll(io.LimitReader(c, 1<<20))
	return string(reply), err
}

// unzipped is what is compressed in a reply.
func unzipped(reply string) string {
	at := strings.Index(reply, "\x1f\x8b")
	if at < 0 {
		return ""
	}
	z, err := gzip.NewReader(strings.NewReader(reply[at:]))
	if err != nil {
		return ""
	}
	plain, _ := io.ReadAll(io.LimitReader(z, 1<<20))
	return string(plain)
}

func shortError(err error) string {
	text := err.Error()
	return text[max(0, len(text)-60):]
}

func firstLine(reply string) string {
	line, _, _ := strings.Cut(reply, "\r\n")
	return strings.ToValidUTF8(line[:min(len(line), 40)], "?")
}

// readings are a text and what is in it, as one reads it who looks for a secret.
func readings(text string) string {
	all := bytes.NewBufferString(text)
	for word := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(" \t\r\n\"/", c) }) {
		if plain, err := hex.DecodeString(word); err == nil {
			all.Write(plain)
		}
		if plain, err := base64.StdEncoding.DecodeString(word); err == nil {
			all.Write(plain)
		}
		if plain, err := url.QueryUnescape(word); err == nil {
			all.WriteString(plain)
		}
	}
	return all.String()
}
