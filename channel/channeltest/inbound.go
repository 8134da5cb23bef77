package channeltest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"nacre/channel"
)

// asked asks the adapter how it is, and returns the ids of what it says until it
// answers.
func (h *Host) asked() (said []string, err error) {
	if err := h.say(channel.Message{Type: channel.Check}); err != nil {
		return nil, err
	}
	for {
		m, err := h.next()
		if err != nil || m.Type == channel.Health {
			return said, err
		}
		if m.Type == channel.Said {
			said = append(said, m.ID)
		}
	}
}

// answered writes a message, and waits for what somebody answers.
func (h *Host) answered(m channel.Message) (channel.Message, error) {
	if err := h.say(m); err != nil {
		return m, err
	}
	var answer *channel.Message
	for answer == nil || h.waiting[m.ID] {
		a, err := h.next()
		switch {
		case err != nil:
			return a, err
		case a.Type == channel.Failed && a.ID == m.ID:
			return a, fmt.Errorf("it does not take %s: %s %s", m.ID, a.Code, a.Text)
		case a.Type == channel.Said:
			answer = &a
		}
	}
	return *answer, nil
}

// saysAgain: what somebody has written is kept until the host has it. It is said again
// before the adapter tells how it is, and no more once it was acknowledged.
func saysAgain(h *Host) error {
	h.silent = true
	m, err := h.answered(h.message("heard", "Is somebody there?"))
	if err != nil {
		return err
	}
	for _, reply := range []channel.Message{{}, {Type: channel.Failed, ID: m.ID, Code: "limited"}, {Type: channel.Failed, ID: m.ID, Code: "unavailable"}} {
		if reply.Type != "" {
			if err := h.say(reply); err != nil {
				return err
			}
		}
		if said, err := h.asked(); err != nil {
			return err
		} else if !slices.Contains(said, m.ID) {
			return fmt.Errorf("it has lost %q, which nobody has taken", m.ID)
		}
	}
	h.silent = false
	for id := range h.open {
		if err := h.acknowledge(id); err != nil {
			return err
		}
	}
	_, err = h.asked()
	return err
}

// offers: an attachment that somebody sends is what it is said to be, and comes piece
// by piece to whoever fetches it; what was not offered does not.
func offers(h *Host) error {
	if !slices.Contains(h.Hello.Features, "attachments") {
		return nil
	}
	m := h.message("with-a-file", "Send it back.")
	m.Attachments = []channel.Attachment{h.offer("file-9", "a.bin", pieces())}
	a, err := h.answered(m)
	if err != nil {
		return err
	}
	if len(a.Attachments) == 0 {
		return errors.New("nobody answers with an attachment")
	}
	if err := h.fetch(a.Attachments[0]); err != nil {
		return err
	}
	switch p, err := h.piece("there-is-no-such-thing", 0); {
	case err != nil:
		return err
	case p.Type != channel.Failed:
		return errors.New("it gives what it has not offered")
	}
	return nil
}

// fetch gets an attachment of the adapter's, and compares it with what was said.
func (h *Host) fetch(a channel.Attachment) error {
	sum, size := sha256.New(), int64(0)
	for {
		p, err := h.piece(a.Ref, size)
		switch {
		case err != nil:
			return err
		case p.Type == channel.Failed:
			return fmt.Errorf("it does not give %q: %s %s", a.Ref, p.Code, p.Text)
		}
		sum.Write(p.Data)
		if size += int64(len(p.Data)); size > a.Size {
			return fmt.Errorf("%q has more than the %d bytes that it was said to have", a.Ref, a.Size)
		}
		if !p.Last {
			continue
		}
		if size != a.Size || fmt.Sprintf("sha256:%x", sum.Sum(nil)) != a.Digest {
			return fmt.Errorf("%q is not what its digest says", a.Ref)
		}
		return nil
	}
}

// piece asks for a piece of an attachment, and returns it, or the error.
func (h *Host) piece(ref string, offset int64) (channel.Message, error) {
	if err := h.say(channel.Message{Type: channel.Fetch, Ref: ref, Offset: &offset}); err != nil {
		return channel.Message{}, err
	}
	for {
		m, err := h.next()
		switch {
		case err != nil:
			return m, err
		case m.Type == channel.Chunk && (m.Ref != ref || *m.Offset != offset):
			return m, fmt.Errorf("it gives %q at %d, which nobody asked for", m.Ref, *m.Offset)
		case m.Type == channel.Chunk, m.Type == channel.Failed && m.Ref == ref:
			return m, nil
		}
	}
}
