package attack

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolve opens the judge's name server, by UDP and TCP at one port. It is asked
// for the one name whose address changes, and for nothing else.
func (w *world) resolve(o *Outward) (port int, err error) {
	p, l, err := both()
	if err != nil {
		return 0, err
	}
	w.closers = append(w.closers, func() { p.Close(); l.Close() })
	n := &nameServer{world: w, out: o}
	go func() {
		for b := make([]byte, 4096); ; {
			size, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = p.WriteTo(n.answer(b[:size]), from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.serve(c)
		}
	}()
	return p.LocalAddr().(*net.UDPAddr).Port, nil
}

// both listens to UDP and TCP at one port. One that is free for the former may be
// somebody's for the latter.
func both() (p net.PacketConn, l net.Listener, err error) {
	for range 20 {
		if p, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if l, err = net.Listen("tcp4", p.LocalAddr().String()); err == nil {
			return p, l, nil
		}
		p.Close()
	}
	return nil, nil, err
}

type nameServer struct {
	world *world
	out   *Outward
	asked atomic.Int64
}

func (n *nameServer) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, question); err != nil {
		return
	}
	reply := n.answer(question)
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
}

// answer judges a question. The name that is granted leads first to one private
// address, then to the next.
func (n *nameServer) answer(question []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	q, err2 := p.Question()
	if err != nil || err2 != nil {
		return nil
	}
	name := strings.TrimSuffix(q.Name.String(), ".")
	if !n.world.takeToken("the judge's name server, as "+q.Type.String(), name) && name != n.out.Rebound {
		n.world.arrive("egress.dns-names", fmt.Sprintf("the judge's name server, as %.100q", name))
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: h.ID, Response: true, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	if strings.EqualFold(name, n.out.Rebound) {
		for _, body := range n.changing(q.Type) {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: body})
		}
	}
	b, _ := m.Pack()
	return b
}

// changing are addresses that differ from question to question; none of them is
// outside this machine.
func (n *nameServer) changing(kind dnsmessage.Type) (list []dnsmessage.ResourceBody) {
	if kind == dnsmessage.TypeAAAA {
		for _, a := range []string{"::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"} {
			list = append(list, &dnsmessage.AAAAResource{AAAA: [16]byte(net.ParseIP(a).To16())})
		}
		return list
	}
	addresses := append([]string{"127.0.0.1", "0.0.0.0", "127.0.0.2"}, n.out.Addresses...)
	if i := n.asked.Add(1); i%2 == 0 {
		addresses = []string{"127.0.0.1"}
	}
	for _, a := range addresses {
		if four := net.ParseIP(a).To4(); four != nil && kind == dnsmessage.TypeA {
			list = append(list, &dnsmessage.AResource{A: [4]byte(four)})
		}
	}
	return list
}
