package model

import (
	"bytes"
	"encoding/json"
	"io"
)

// Usage is what a request used, in tokens.
type Usage struct{ In, Out int64 }

// Sum is both.
func (u Usage) Sum() int64 { return u.In + u.Out }

// counts are the ways in which providers say what was used.
type counts struct {
	Input      int64 `json:"input_tokens"`
	Output     int64 `json:"output_tokens"`
	Written    int64 `json:"cache_creation_input_tokens"`
	Read       int64 `json:"cache_read_input_tokens"`
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
}

// said is a reply, or one event of a stream, as far as it says what was used.
type said struct {
	Usage    *counts `json:"usage"`
	Message  struct{ Usage *counts }
	Response struct{ Usage *counts }
}

// note takes over what a document says.
func (u *Usage) note(document []byte) {
	var s said
	if json.Unmarshal(document, &s) != nil {
		return
	}
	for _, c := range []*counts{s.Usage, s.Message.Usage, s.Response.Usage} {
		if c != nil { // later events of a stream count from its beginning
			u.In = max(u.In, c.Input+c.Written+c.Read, c.Prompt)
			u.Out = max(u.Out, c.Output, c.Completion)
		}
	}
}

// maxKept bounds what of a reply is kept to be understood.
const maxKept = 16 << 20

// Counter passes a reply on and counts what it used. Done is called once, when
// the reply has ended or nobody wants it any more.
type Counter struct {
	From io.ReadCloser
	// Stream tells that the reply is a stream of events.
	Stream bool
	Done   func(Usage, bool) // and whether it was said at all
	kept   bytes.Buffer
	usage  Usage
	over   bool
}

func (c *Counter) Read(p []byte) (int, error) {
	n, err := c.From.Read(p)
	if c.kept.Len()+n <= maxKept {
		c.kept.Write(p[:n])
	}
	if c.Stream {
		c.events()
	}
	if err != nil {
		c.end()
	}
	return n, err
}

// events takes in the lines that are whole.
func (c *Counter) events() {
	for {
		line, _, whole := bytes.Cut(c.kept.Bytes(), []byte("\n"))
		if !whole {
			return
		}
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && bytes.Contains(data, []byte("usage")) {
			c.usage.note(data)
		}
		c.kept.Next(len(line) + 1)
	}
}

func (c *Counter) end() {
	if c.over {
		return
	}
	c.over = true
	if !c.Stream {
		c.usage.note(c.kept.Bytes())
	}
	c.Done(c.usage, c.usage != Usage{})
}

// Close ends the reply.
func (c *Counter) Close() error {
	c.end()
	return c.From.Close()
}
