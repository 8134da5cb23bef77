package channeltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nacre/channel"
)

// Case is one thing that an adapter must do.
type Case struct {
	Name  string
	Check func(*Host) error // after the greeting
}

// Cases are all of them.
func Cases() []Case {
	return []Case{
		{"sends", sends}, {"again", again}, {"refuses", refuses}, {"long", long}, {"many", many}, {"attaches", attaches},
		{"says again", saysAgain}, {"offers", offers}, {"healthy", healthy}, {"shuts down", shutsDown}, {"is left", left},
	}
}

// Run runs every case, each with an adapter of its own.
func Run(t *testing.T, start func() (*Process, error), conversation string) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(start, conversation); err != nil {
				t.Error(err)
			}
		})
	}
}

// Run runs one case, and says what was wrong.
func (c Case) Run(start func() (*Process, error), conversation string) error {
	p, err := start()
	if err != nil {
		return err
	}
	defer p.Kill()
	h := begin(p, conversation)
	if err := h.greet(); err != nil {
		return err
	}
	return c.Check(h)
}

func (h *Host) message(id, text string) channel.Message {
	return channel.Message{Type: channel.Send, ID: id, Conversation: h.Conversation, Text: text}
}

func sends(h *Host) error {
	_, err := h.acknowledged(h.message("one", "Hello. A test of the adapter: 漢字, é, <b>&amp;</b>\n\tand a second line."))
	return err
}

// again: the same id is the same message. It is taken again, and not written twice.
func again(h *Host) error {
	first, err := h.acknowledged(h.message("one", "Once."))
	if err != nil {
		return err
	}
	second, err := h.acknowledged(h.message("one", "Once."))
	if err == nil && (first.Network == "" || first.Network != second.Network) {
		err = fmt.Errorf("the same message is %q on the network, then %q", first.Network, second.Network)
	}
	return err
}

// refuses: what cannot be written is said to be so, and the next message is.
func refuses(h *Host) error {
	m := h.message("nowhere", "Nobody reads this.")
	m.Conversation = "there-is-no-such-conversation"
	if err := h.say(m); err != nil {
		return err
	}
	a, err := h.answer(m.ID)
	if err != nil {
		return err
	}
	if a.Type != channel.Failed {
		return errors.New("it takes a message to nobody")
	}
	return sends(h)
}

// long: the longest text is taken, or said to be too large.
func long(h *Host) error {
	m := h.message("long", strings.Repeat("é", channel.MaxText/2))
	if err := h.say(m); err != nil {
		return err
	}
	a, err := h.answer(m.ID)
	if err == nil && a.Type == channel.Failed && a.Code != "too-large" {
		err = fmt.Errorf("a long text is %s", a.Code)
	}
	return err
}

// many: each of many at once is answered, once.
func many(h *Host) error {
	const n = 100
	for i := range n {
		if err := h.say(h.message(fmt.Sprint("many-", i), "One of many.")); err != nil {
			return err
		}
	}
	for len(h.waiting) > 0 {
		if m, err := h.next(); err != nil {
			return err
		} else if m.Type == channel.Failed && m.Code != "limited" {
			return fmt.Errorf("one of many is %s", m.Code)
		}
	}
	return nil
}

// pieces are bytes of more than one piece.
func pieces() []byte { return bytes.Repeat([]byte("0123456789abcdef"), channel.MaxChunk/10) }

// attaches: an adapter that takes attachments fetches them piece by piece; another one
// says that it does not.
func attaches(h *Host) error {
	m := h.message("attached", "With a file.")
	b := pieces()
	m.Attachments = []channel.Attachment{h.offer("file-1", "a.bin", b), h.offer("file-2", "empty", nil)}
	if slices.Contains(h.Hello.Features, "attachments") {
		if _, err := h.acknowledged(m); err != nil {
			return err
		}
		wrong := h.message("wrong", "With another file than it says.")
		wrong.Attachments = []channel.Attachment{h.offer("file-3", "b.bin", b)}
		wrong.Attachments[0].Digest = m.Attachments[1].Digest
		m = wrong
	}
	if err := h.say(m); err != nil {
		return err
	}
	a, err := h.answer(m.ID)
	if err == nil && a.Type != channel.Failed {
		err = errors.New("it takes an attachment that it cannot have")
	}
	return err
}

func healthy(h *Host) error {
	_, err := h.asked()
	return err
}

// shutsDown: what was sent before is answered, then it ends.
func shutsDown(h *Host) error {
	if err := sends(h); err != nil {
		return err
	}
	if err := h.say(channel.Message{Type: channel.Shutdown}); err != nil {
		return err
	}
	return h.ended()
}

// left: without a host there is nothing to do.
func left(h *Host) error {
	if err := h.In.Close(); err != nil {
		return err
	}
	return h.ended()
}
