package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"nacre"
	"nacre/gateway/mcp"
	"nacre/gateway/stdio"
)

// connect begins to speak with a server that does it in lines: a sandbox of its own
// is at the other end of the descriptor.
func (g *Gateway) connect(b *bench) error {
	if b.Stream == 0 {
		return nil
	}
	f := os.NewFile(uintptr(b.Stream), "stream")
	defer f.Close()
	stream, err := net.FileConn(f)
	if err != nil {
		return fmt.Errorf("the tool server %s: %w", b.Name, err)
	}
	b.lines = stdio.Open(stream, func(method string) { g.declined(b, method) })
	return nil
}

// declined records what a server has asked for, which it does not get.
func (g *Gateway) declined(b *bench, method string) {
	d := nacre.Decision{Effect: nacre.Deny, Capability: nacre.CapTools, Subject: fmt.Sprintf("%s asks for %.64q", b.Name, method), Rule: "default",
		Reason: "no server asks anything of a program inside"}
	_ = g.intend(context.Background(), "tool", d, map[string]string{"server": b.Name}) // it is denied either way
}

// converse is exchange with a server that speaks in lines. To programs it seems to
// speak HTTP, each in a session of its own.
func (e *talk) converse(asked mcp.Request) {
	if err := e.intend(e.r.Context(), "tool", e.d, e.detail); err != nil {
		e.answer(http.StatusServiceUnavailable, mcp.Refusal(asked.ID, mcp.CodeDenied, err.Error()))
		return
	}
	session := e.r.Header.Get(sessionHeader)
	switch asked.Method {
	case mcp.Initialize:
		e.greet(asked)
		return
	case mcp.Cancelled:
		e.at.lines.Cancel(session, asked.Cancels())
		fallthrough
	case mcp.Initialized: // the server has heard that from the gateway
		e.w.WriteHeader(http.StatusAccepted)
		return
	}
	ctx, cancel := e.within()
	defer cancel()
	q, err := e.at.lines.Ask(ctx, session, asked)
	if err != nil {
		e.unanswered(asked, e.late(ctx, err))
		return
	}
	defer q.Leave()
	next := func() (mcp.Answer, error) {
		said, err := q.Next(ctx)
		return said, e.late(ctx, err)
	}
	if asked.Token() != nil {
		e.relay(&asked, next)
		return
	}
	said, err := next()
	if err == nil {
		e.given(asked, said)
		return
	}
	e.unanswered(asked, err)
}

// greet answers a program that begins: a session of its own, with what the server
// has said once to all.
func (e *talk) greet(asked mcp.Request) {
	ctx, cancel := e.within()
	defer cancel()
	hello, err := e.at.lines.Begin(ctx)
	if err != nil {
		e.unanswered(asked, e.late(ctx, err))
		return
	}
	session := rand.Text()
	if !e.at.opened(session) {
		e.unanswered(asked, errors.New("too many sessions are open"))
		return
	}
	e.w.Header().Set(sessionHeader, session)
	e.given(asked, hello.For(asked))
}

// within is as long as an answer may take.
func (e *talk) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.r.Context(), cmp.Or(e.at.Answer, toolTime))
}

// late says in other words that time is up.
func (e *talk) late(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it has not answered within %v", cmp.Or(e.at.Answer, toolTime))
	}
	return err
}

// given passes a reply on.
func (e *talk) given(asked mcp.Request, said mcp.Answer) {
	b, err := e.understood(asked, said)
	if err != nil {
		e.unanswered(asked, err)
		return
	}
	e.answer(http.StatusOK, b)
}

// unanswered tells the program that its request has no reply: this request alone,
// as the session goes on.
func (e *talk) unanswered(asked mcp.Request, err error) {
	if e.r.Context().Err() == nil { // else the program has left
		e.answer(http.StatusOK, e.fault(asked.ID, err))
	}
}

// overhear passes on what a server says unasked, until the program leaves.
func (e *talk) overhear() {
	if err := e.intend(e.r.Context(), "tool", e.d, e.detail); err != nil {
		e.answer(http.StatusServiceUnavailable, mcp.Refusal(nil, mcp.CodeDenied, err.Error()))
		return
	}
	l := e.at.lines.Listen()
	if l == nil {
		e.answer(http.StatusTooManyRequests, mcp.Refusal(nil, mcp.CodeDenied, "too many listen at once"))
		return
	}
	defer l.Leave()
	e.relay(nil, func() (mcp.Answer, error) { return l.Next(e.r.Context()) })
}
