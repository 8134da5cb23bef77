// Package channeltest checks whether an adapter to a chat network keeps to the channel
// protocol. It is the host to it, and believes nothing. An adapter that takes part
// needs one conversation in which it may write.
package channeltest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"nacre/channel"
)

// Process is a running adapter.
type Process struct {
	In   io.WriteCloser
	Out  io.Reader
	Wait func() error // until it has ended: nil where that was with the exit code 0
	Kill func()
	// Patience is how long it may take for one thing; 0: as long as is usual.
	Patience time.Duration
}

// usual is how long an adapter may take for one thing, and starting how long until it
// says its first word: a sandbox is made for it.
const (
	usual    = time.Minute
	starting = 2 * time.Minute
)

// Host is one conversation with an adapter.
type Host struct {
	*Process
	Conversation string // in which it may write
	Hello        channel.Message

	out     *channel.Writer
	heard   chan heard
	waiting map[string]bool   // what was sent and not answered
	offered map[string][]byte // attachments, by reference
	seen    map[string]bool   // ids of what it said and was acknowledged
	open    map[string]string // what it said and was not, by id
	silent  bool              // what it says is not acknowledged
}

type heard struct {
	channel.Message
	err error
}

// begin starts to listen to an adapter.
func begin(p *Process, conversation string) *Host {
	p.Patience = cmp.Or(p.Patience, usual)
	h := &Host{Process: p, Conversation: conversation, out: channel.NewWriter(p.In, channel.Host), heard: make(chan heard, 1024),
		waiting: map[string]bool{}, offered: map[string][]byte{}, seen: map[string]bool{}, open: map[string]string{}}
	go func() {
		defer close(h.heard)
		for r := channel.NewReader(p.Out, channel.Adapter); ; {
			m, err := r.Next()
			h.heard <- heard{m, err}
			if err != nil {
				_, _ = io.Copy(io.Discard, p.Out) // so that it can end
				return
			}
		}
	}()
	return h
}

// say sends a message, which the adapter has to read in time.
func (h *Host) say(m channel.Message) error {
	if m.Type == channel.Send {
		h.waiting[m.ID] = true
	}
	said := make(chan error, 1)
	go func() { said <- h.out.Write(m) }()
	select {
	case err := <-said:
		return err
	case <-time.After(h.Patience):
		return fmt.Errorf("it does not read a message of the type %s", m.Type)
	}
}

// next is the next message that is not served at once: pieces of attachments are, and
// what was said is acknowledged. What nobody asked for is an error.
func (h *Host) next() (channel.Message, error) { return h.within(h.Patience) }

func (h *Host) within(patience time.Duration) (channel.Message, error) {
	late := time.After(patience)
	for {
		var m heard
		select {
		case m = <-h.heard:
		case <-late:
			return channel.Message{}, errors.New("it says nothing")
		}
		switch {
		case m.err != nil:
			return m.Message, m.err
		case m.Type == "":
			return m.Message, io.EOF
		case m.Type == channel.Fetch:
			if err := h.serve(m.Message); err != nil {
				return m.Message, err
			}
			continue
		}
		return m.Message, h.fits(m.Message)
	}
}

// fits refuses what is no answer to anything.
func (h *Host) fits(m channel.Message) error {
	switch {
	case m.Type == channel.Hello && h.Hello.Type != "":
		return errors.New("it says hello twice")
	case m.Type == channel.Ack, m.Type == channel.Failed && m.ID != "":
		if !h.waiting[m.ID] {
			return fmt.Errorf("it answers %q, which waits for no answer", m.ID)
		}
		delete(h.waiting, m.ID)
	case m.Type == channel.Said:
		return h.hear(m)
	}
	return nil
}

// hear takes what somebody has written: the same id is the same message.
func (h *Host) hear(m channel.Message) error {
	if h.seen[m.ID] {
		return fmt.Errorf("it says %q again, which was acknowledged", m.ID)
	}
	said, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if before, again := h.open[m.ID]; again && before != string(said) {
		return fmt.Errorf("it says %q again, otherwise than before", m.ID)
	}
	if h.open[m.ID] = string(said); h.silent {
		return nil
	}
	return h.acknowledge(m.ID)
}

// acknowledge tells the adapter that what it said is in safe hands.
func (h *Host) acknowledge(id string) error {
	delete(h.open, id)
	h.seen[id] = true
	return h.say(channel.Message{Type: channel.Ack, ID: id})
}

// serve gives a piece of an attachment.
func (h *Host) serve(m channel.Message) error {
	b, there := h.offered[m.Ref]
	if !there || *m.Offset > int64(len(b)) {
		return fmt.Errorf("it fetches %q at %d, which was not offered", m.Ref, *m.Offset)
	}
	piece := b[*m.Offset:min(int64(len(b)), *m.Offset+channel.MaxChunk/2)]
	return h.say(channel.Message{Type: channel.Chunk, Ref: m.Ref, Offset: m.Offset, Data: piece, Last: *m.Offset+int64(len(piece)) == int64(len(b))})
}

// answer waits for the answer to a message that was sent.
func (h *Host) answer(id string) (channel.Message, error) {
	for {
		m, err := h.next()
		if err != nil || m.ID == id && m.Type != channel.Said {
			return m, err
		}
	}
}

// acknowledged sends a message, and holds the adapter to take it.
func (h *Host) acknowledged(m channel.Message) (channel.Message, error) {
	err := h.say(m)
	if err != nil {
		return m, err
	}
	a, err := h.answer(m.ID)
	if err == nil && a.Type != channel.Ack {
		err = fmt.Errorf("it does not take %s: %s %s", m.ID, a.Code, a.Text)
	}
	return a, err
}

// offer is an attachment with these bytes.
func (h *Host) offer(ref, name string, b []byte) channel.Attachment {
	h.offered[ref] = b
	return channel.Attachment{Ref: ref, Name: name, Size: int64(len(b)), Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(b))}
}

// greet hears and answers the hello.
func (h *Host) greet() error {
	m, err := h.within(starting)
	if err != nil {
		return err
	}
	if m.Type != channel.Hello {
		return fmt.Errorf("it begins with %s", m.Type)
	}
	h.Hello = m
	return h.say(channel.Message{Type: channel.Welcome, Protocol: channel.Version})
}

// ended waits until the adapter has ended, saying nothing more than it must.
func (h *Host) ended() error {
	ended := make(chan error, 1)
	go func() { ended <- h.Wait() }()
	for {
		select {
		case m, more := <-h.heard:
			if !more {
				h.heard = nil
			} else if m.err != nil && !errors.Is(m.err, io.EOF) {
				return m.err
			}
		case err := <-ended:
			if err != nil {
				err = fmt.Errorf("it ends in disorder: %w", err)
			}
			return err
		case <-time.After(h.Patience):
			return errors.New("it does not end")
		}
	}
}
