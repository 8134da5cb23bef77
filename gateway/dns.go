package gateway

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nacre"
	"nacre/egress"
)

// maxQuestion bounds a question: a name has at most 255 bytes, and the rest of
// what programs send is small.
const maxQuestion = 1232

// answer answers questions for names by UDP.
func (g *Gateway) answer(p net.PacketConn) {
	b := make([]byte, maxQuestion+1)
	for {
		n, from, err := p.ReadFrom(b)
		if err != nil {
			return
		}
		if n > maxQuestion {
			continue
		}
		if reply := g.resolve(b[:n]); reply != nil {
			_, _ = p.WriteTo(reply, from)
		}
	}
}

// answerTCP answers questions for names on a connection.
func (g *Gateway) answerTCP(c net.Conn) {
	defer c.Close()
	for {
		_ = c.SetDeadline(time.Now().Add(idle))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if len(question) > maxQuestion {
			return
		}
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		reply := g.resolve(question)
		if reply == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// idle is how long somebody inside may keep a connection without a word.
const idle = 60 * time.Second

// resolve answers one question: an allowed name has an address of ours, any
// other is refused, and nothing is asked outside. nil: no question at all.
func (g *Gateway) resolve(question []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil || h.Response {
		return nil
	}
	reply := dnsmessage.Header{ID: h.ID, Response: true, OpCode: h.OpCode, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	q, err := p.Question()
	switch {
	case h.OpCode != 0:
		reply.RCode = dnsmessage.RCodeNotImplemented
	case err != nil:
		reply.RCode = dnsmessage.RCodeFormatError
	}
	if reply.RCode != 0 {
		return build(reply, nil, nil)
	}
	if _, err := p.Question(); err == nil { // two questions have no one answer
		reply.RCode = dnsmessage.RCodeFormatError
		return build(reply, nil, nil)
	}
	body, code := g.lookUp(q)
	reply.RCode = code
	return build(reply, &q, body)
}

// lookUp is the answer to a question, nil for none.
func (g *Gateway) lookUp(q dnsmessage.Question) (dnsmessage.ResourceBody, dnsmessage.RCode) {
	text, ok := egress.Name(q.Name.String())
	if !ok || q.Class != dnsmessage.ClassINET || !g.rules().Known(text) {
		g.book.denied(context.Background(), nacre.Event{Kind: "name", Rule: "default", Reason: "no grant is for this name",
			Detail: map[string]string{"to": q.Name.String(), "type": q.Type.String()}})
		if !ok || q.Class != dnsmessage.ClassINET || !g.config.Learn {
			return nil, dnsmessage.RCodeRefused
		}
	}
	wanted := q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeAAAA && g.config.IPv6
	if !wanted {
		return nil, dnsmessage.RCodeSuccess // the name is there; of this type there is nothing
	}
	number, ok := g.names.address(text, time.Now())
	switch {
	case !ok:
		return nil, dnsmessage.RCodeServerFailure
	case q.Type == dnsmessage.TypeA:
		return &dnsmessage.AResource{A: address4(number)}, dnsmessage.RCodeSuccess
	default:
		return &dnsmessage.AAAAResource{AAAA: address6(number)}, dnsmessage.RCodeSuccess
	}
}

// build writes a reply; nil where that is not possible.
func build(h dnsmessage.Header, q *dnsmessage.Question, body dnsmessage.ResourceBody) []byte {
	m := dnsmessage.Message{Header: h}
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
	}
	if body != nil {
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: maxTTL}, Body: body}}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}
