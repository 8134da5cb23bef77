package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"

	"nacre"
	"nacre/gateway/mcp"
)

// stream passes on a reply that is a stream of events.
func (e *talk) stream(asked *mcp.Request, from io.Reader) {
	one := mcp.MaxReply
	if asked == nil {
		one = maxNotice
	}
	events := mcp.NewEvents(from, maxStream, one)
	e.relay(asked, func() (mcp.Answer, error) {
		for {
			data, err := events.Next()
			if err != nil {
				return mcp.Answer{}, err
			}
			if len(bytes.TrimSpace(data)) > 0 { // else it only shows that it is there
				return mcp.ReadAnswer(data)
			}
		}
	})
}

// relay passes on what a server says: notifications, and the reply where one is
// asked for, after which it ends. What a server asks for itself it does not get.
func (e *talk) relay(asked *mcp.Request, next func() (mcp.Answer, error)) {
	e.w.Header().Set("Content-Type", "text/event-stream")
	e.w.Header().Set("Cache-Control", "no-store")
	e.w.WriteHeader(http.StatusOK)
	e.say(nil)
	err := e.events(asked, next)
	switch {
	case err == nil || asked == nil && errors.Is(err, io.EOF):
	case e.r.Context().Err() != nil: // the program has left
	case asked == nil:
		_ = e.fault(nil, err)
	default:
		if errors.Is(err, io.EOF) {
			err = errors.New("the stream ends without a reply")
		}
		e.say(e.fault(asked.ID, err))
	}
}

func (e *talk) events(asked *mcp.Request, next func() (mcp.Answer, error)) error {
	for requests := 0; ; {
		said, err := next()
		switch {
		case err != nil:
			return err
		case said.Reply() && asked == nil:
			return errors.New("it answers what nobody asked")
		case said.Reply():
			b, err := e.understood(*asked, said)
			if err == nil {
				e.say(b)
			}
			return err
		case said.Heard():
			b, err := said.Notice()
			if err != nil {
				return err
			}
			e.say(b)
		case said.ID != nil:
			if requests++; requests > maxRequests {
				return mcp.ErrFlood
			}
			e.decline(said)
		}
	}
}

// say writes one event.
func (e *talk) say(b []byte) {
	if b != nil {
		_, _ = fmt.Fprintf(e.w, "event: message\ndata: %s\n\n", e.masked(b))
	}
	_ = http.NewResponseController(e.w).Flush() // a program that has left is noticed by its context
}

// decline answers a request of the server's own: that it is there, and nothing
// else. No model, no person and no folder of the program's answers to a server.
func (e *talk) decline(said mcp.Answer) {
	answer, err := mcp.Pong(said.ID)
	if said.Method != mcp.Ping {
		d, detail := e.d, maps.Clone(e.detail)
		d.Effect, d.Subject, d.Reason = nacre.Deny, e.at.Name+" asks for "+said.Method, "no server asks anything of a program inside"
		_ = e.intend(context.Background(), "tool", d, detail) // it is denied either way
		answer, err = mcp.Refusal(said.ID, mcp.CodeMethod, "not available here"), nil
	}
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(e.r.Context(), answerTime)
	defer cancel()
	out, err := e.outward(ctx, http.MethodPost, answer)
	if err != nil {
		return
	}
	if reply, err := e.send(out); err == nil { // a server that does not hear of it waits
		reply.Body.Close()
	}
}
