package model

import (
	"bytes"
	"errors"
	"io"
)

// maxKept bounds what of a reply is kept to be understood.
const maxKept = 16 << 20

// Counter passes a reply on and counts what it used. A stream is passed on by
// whole events, so that it can be ended well. Done is called once, when the reply
// has ended or nobody wants it any more.
type Counter struct {
	From   io.ReadCloser
	Stream bool // of events
	// Afford is told what a stream used so far; an error ends it with Ending.
	Afford func(Usage) error
	Ending func(why error, events int64) []byte
	Done   func(used Usage, said bool) // and whether that was said as the last word

	kept, ready bytes.Buffer // not understood yet; to be passed on
	usage       Usage
	events      int64
	said, over  bool
	err         error
}

func (c *Counter) Read(p []byte) (int, error) {
	if !c.Stream {
		n, err := c.From.Read(p)
		if c.kept.Len()+n <= maxKept {
			c.kept.Write(p[:n])
		}
		if err != nil {
			c.end()
		}
		return n, err
	}
	for c.ready.Len() == 0 && c.err == nil {
		c.fill()
	}
	if c.ready.Len() > 0 {
		return c.ready.Read(p)
	}
	c.end()
	return 0, c.err
}

// fill takes in more of a stream.
func (c *Counter) fill() {
	piece := make([]byte, 32<<10)
	n, err := c.From.Read(piece)
	c.kept.Write(piece[:n])
	for c.err == nil {
		size := whole(c.kept.Bytes())
		if size == 0 {
			break
		}
		c.event(c.kept.Next(size))
	}
	switch {
	case c.err != nil: // it is spent
		c.kept.Reset()
	case err != nil:
		c.take(c.kept.Next(c.kept.Len())) // it ends within an event
		c.err = err
	case c.kept.Len() > maxKept:
		c.err = errors.New("an event in the reply is too long to be understood")
	}
}

// whole is the length of the first event, with the empty line after it; 0: it is
// not all there.
func whole(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		if len(bytes.TrimSuffix(b[at:at+i], []byte("\r"))) == 0 {
			return at + i + 1
		}
		at += i + 1
	}
}

// event passes one on, and looks whether the next can be afforded.
func (c *Counter) event(b []byte) {
	if c.take(b); c.said {
		return // what follows costs nothing
	}
	so := c.usage
	so.Out = max(so.Out, c.events) // each has a token at least
	if err := c.Afford(so); err != nil {
		c.usage = so
		c.ready.Write(c.Ending(err, c.events))
		c.err = io.EOF
		c.From.Close()
	}
}

func (c *Counter) take(b []byte) {
	c.ready.Write(b)
	for line := range bytes.Lines(b) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			c.events++
			if bytes.Contains(data, []byte("usage")) {
				c.said = c.usage.note(data) || c.said
			}
		}
	}
}

func (c *Counter) end() {
	if c.over {
		return
	}
	c.over = true
	if !c.Stream {
		c.said = c.usage.note(c.kept.Bytes())
	}
	c.Done(c.usage, c.said)
}

// Close ends the reply.
func (c *Counter) Close() error {
	c.end()
	return c.From.Close()
}
