package stdio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"nacre/gateway/mcp"
)

// Question is a request that waits for its reply.
type Question struct {
	server *Server
	asked  mcp.Request
	from   string
	own    json.Number
	said   chan mcp.Answer
	failed chan error
}

// Ask sends a request, from one of those who ask, where a conversation has begun.
func (s *Server) Ask(ctx context.Context, from string, asked mcp.Request) (*Question, error) {
	if _, err := s.Begin(ctx); err != nil {
		return nil, err
	}
	return s.ask(ctx, from, asked)
}

func (s *Server) ask(ctx context.Context, from string, asked mcp.Request) (*Question, error) {
	q := &Question{server: s, asked: asked, from: from, said: make(chan mcp.Answer, maxNotices+1), failed: make(chan error, 1)}
	s.mu.Lock()
	s.last++
	q.own = json.Number(strconv.FormatInt(s.last, 10))
	s.waiting[q.own] = q
	s.mu.Unlock()
	if err := s.send(ctx, asked.As(q.own)); err != nil {
		q.Leave()
		return nil, err
	}
	return q, nil
}

func (q *Question) fail(err error) { q.failed <- err } // once, as it waits no more

// Next is what the server says: notifications of progress, then the reply, by the id
// that whoever asked has given.
func (q *Question) Next(ctx context.Context) (mcp.Answer, error) {
	select {
	case said := <-q.said:
		return said, nil
	case err := <-q.failed:
		return mcp.Answer{}, err
	case <-q.server.gone:
		select {
		case said := <-q.said: // it came first
			return said, nil
		default:
			return mcp.Answer{}, q.server.why
		}
	case <-ctx.Done():
		return mcp.Answer{}, ctx.Err()
	}
}

// Leave forgets the request. A server that has not answered is told so.
func (q *Question) Leave() {
	q.server.mu.Lock()
	waits := q.server.waiting[q.own] == q
	delete(q.server.waiting, q.own)
	q.server.mu.Unlock()
	if waits && q.asked.Method != mcp.Initialize { // which nobody may take back
		q.server.mention(mcp.Cancel(q.own).Written())
	}
}

// Cancel takes a request back that somebody has made.
func (s *Server) Cancel(from string, id any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for own, q := range s.waiting {
		if id != nil && q.from == from && q.asked.ID == id {
			delete(s.waiting, own)
			q.fail(errors.New("it was taken back"))
			s.mention(mcp.Cancel(q.own).Written())
		}
	}
}

// Begin has the conversation begin, once, and says what the server has said then.
func (s *Server) Begin(ctx context.Context) (mcp.Answer, error) {
	select {
	case s.beginning <- struct{}{}:
		defer func() { <-s.beginning }()
	case <-s.gone:
		return mcp.Answer{}, s.why
	case <-ctx.Done():
		return mcp.Answer{}, ctx.Err()
	}
	if s.hello.Result != nil {
		return s.hello, nil
	}
	q, err := s.ask(ctx, "", mcp.Opening("nacre"))
	if err != nil {
		return mcp.Answer{}, err
	}
	defer q.Leave()
	said, err := q.Next(ctx)
	if err != nil {
		return mcp.Answer{}, err
	}
	version, _ := said.Result["protocolVersion"].(string)
	switch {
	case said.Error != nil:
		return said, errors.New("it refuses to begin")
	case !mcp.Known(version):
		return said, fmt.Errorf("it speaks version %.40q of the protocol, which is not known here", version)
	}
	s.hello = said
	return said, s.send(ctx, mcp.Request{Method: mcp.Initialized})
}

// Listener hears what a server says unasked.
type Listener struct {
	server *Server
	said   chan mcp.Answer
}

// Listen begins to hear; nil where too many do.
func (s *Server) Listen() *Listener {
	l := &Listener{s, make(chan mcp.Answer, maxNotices)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) >= maxHearers {
		return nil
	}
	s.listeners[l] = true
	return l
}

// Next is the next notification.
func (l *Listener) Next(ctx context.Context) (mcp.Answer, error) {
	select {
	case said := <-l.said:
		return said, nil
	case <-l.server.gone:
		return mcp.Answer{}, l.server.why
	case <-ctx.Done():
		return mcp.Answer{}, ctx.Err()
	}
}

// Leave hears no more.
func (l *Listener) Leave() {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	delete(l.server.listeners, l)
}
