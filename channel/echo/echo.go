// Package echo is an example of an adapter to a chat network: of one that has one
// conversation, "echo", in which somebody says again what is written, attachments too.
package echo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"nacre/channel"
)

// Run is the adapter, until there is no host any more or it says that this is the end.
func Run(in io.Reader, out io.Writer) error {
	e := &network{in: channel.NewReader(in, channel.Host), out: channel.NewWriter(out, channel.Adapter), written: map[string]string{}, kept: map[string][]byte{}}
	if err := e.run(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// network is the network, and the adapter to it.
type network struct {
	in      *channel.Reader
	out     *channel.Writer
	later   []channel.Message // came while something was fetched
	written map[string]string // the network's ids, by the host's
	kept    map[string][]byte // attachments, by reference
	open    []channel.Message // what was said and nobody has taken yet
}

func (e *network) run() error {
	if err := e.out.Write(channel.Message{Type: channel.Hello, Protocol: channel.Version, Name: "echo", Features: []string{"attachments"}}); err != nil {
		return err
	}
	for {
		m, err := e.next()
		if err != nil || m.Type == channel.Shutdown {
			return err
		}
		switch m.Type {
		case channel.Send:
			err = e.send(m)
		case channel.Check:
			err = e.health()
		case channel.Fetch:
			err = e.give(m)
		case channel.Ack, channel.Failed:
			e.taken(m)
		}
		if err != nil {
			return err
		}
	}
}

func (e *network) next() (channel.Message, error) {
	if len(e.later) > 0 {
		m := e.later[0]
		e.later = e.later[1:]
		return m, nil
	}
	return e.in.Next()
}

// send writes a message to the network, where it is not there yet, and has it said
// again.
func (e *network) send(m channel.Message) error {
	if m.Conversation != "echo" {
		return e.out.Write(channel.Message{Type: channel.Failed, ID: m.ID, Code: "unknown", Text: "there is one conversation, echo"})
	}
	if network, before := e.written[m.ID]; before {
		return e.out.Write(channel.Message{Type: channel.Ack, ID: m.ID, Network: network})
	}
	for _, a := range m.Attachments {
		b, err := e.fetch(a)
		if err != nil {
			return err
		}
		if fmt.Sprintf("sha256:%x", sha256.Sum256(b)) != a.Digest {
			return e.out.Write(channel.Message{Type: channel.Failed, ID: m.ID, Code: "invalid", Text: "an attachment is not what its digest says"})
		}
		e.kept[a.Ref] = b
	}
	network := fmt.Sprint(len(e.written) + 1)
	e.written[m.ID] = network // a real network would be asked to keep it
	if err := e.out.Write(channel.Message{Type: channel.Ack, ID: m.ID, Network: network}); err != nil {
		return err
	}
	e.open = append(e.open, channel.Message{Type: channel.Said, ID: "echo-" + network, Conversation: "echo", From: &channel.Person{ID: "echo", Name: "Echo"},
		Text: m.Text, Time: time.Now().UTC().Format(time.RFC3339), Attachments: m.Attachments})
	return e.out.Write(e.open[len(e.open)-1])
}

// taken forgets what the host has, or will not have; else it is said again.
func (e *network) taken(m channel.Message) {
	if m.Type == channel.Failed && (m.Code == "limited" || m.Code == "unavailable") {
		return
	}
	e.open = slices.DeleteFunc(e.open, func(said channel.Message) bool { return said.ID == m.ID })
}

// health says again what nobody has taken yet, then that all is well.
func (e *network) health() error {
	for _, m := range e.open {
		if err := e.out.Write(m); err != nil {
			return err
		}
	}
	return e.out.Write(channel.Message{Type: channel.Health, State: "ok"})
}

// fetch gets an attachment's bytes, piece by piece; no more than it is said to have.
func (e *network) fetch(a channel.Attachment) (b []byte, err error) {
	for {
		offset := int64(len(b))
		if err := e.out.Write(channel.Message{Type: channel.Fetch, Ref: a.Ref, Offset: &offset}); err != nil {
			return nil, err
		}
		m, err := e.in.Next()
		for ; err == nil && m.Type != channel.Chunk; m, err = e.in.Next() {
			e.later = append(e.later, m)
		}
		switch {
		case err != nil:
			return nil, err
		case m.Ref != a.Ref || *m.Offset != offset || offset+int64(len(m.Data)) > a.Size:
			return nil, errors.New("a piece of something else")
		}
		if b = append(b, m.Data...); m.Last {
			return b, nil
		}
	}
}

// give gives a piece of an attachment that it has said again.
func (e *network) give(m channel.Message) error {
	b, there := e.kept[m.Ref]
	if !there || *m.Offset > int64(len(b)) {
		return e.out.Write(channel.Message{Type: channel.Failed, Ref: m.Ref, Code: "unknown"})
	}
	piece := b[*m.Offset:min(int64(len(b)), *m.Offset+channel.MaxChunk)]
	return e.out.Write(channel.Message{Type: channel.Chunk, Ref: m.Ref, Offset: m.Offset, Data: piece, Last: *m.Offset+int64(len(piece)) == int64(len(b))})
}
