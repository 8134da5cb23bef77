// Package stdio talks with a tool server that speaks MCP in lines on a stream: one
// conversation for all who ask. Requests get ids of its own, so that no server
// answers one in another's place; what it says is bounded, and read strictly.
package stdio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"nacre/gateway/mcp"
	"nacre/strictjson"
)

const (
	maxFaults  = 64       // what a server may say that is nothing, or asks for what it does not get
	maxWaiting = 64       // messages on their way to it
	maxNotices = 16       // of one request, or listener, that nobody has taken yet
	maxNotice  = 64 << 10 // bytes of one: what is larger is lost
	maxHearers = 64       // listeners at once
)

// ErrGone says that the server says nothing any more.
var ErrGone = errors.New("the server has ended")

// Server is a conversation with one server.
type Server struct {
	stream  io.ReadWriteCloser
	decline func(method string) // told of each request that the server makes
	lines   chan []byte
	gone    chan struct{}
	why     error // once gone is closed
	end     sync.Once

	beginning chan struct{} // held while a conversation begins
	hello     mcp.Answer    // what it has said then; without a result: it has not

	mu        sync.Mutex
	last      int64
	faults    int
	waiting   map[any]*Question // by our ids
	listeners map[*Listener]bool
}

// Open begins to read. The server is told that nothing may be asked of whoever is
// here; decline is told what it asks nevertheless.
func Open(stream io.ReadWriteCloser, decline func(method string)) *Server {
	s := &Server{stream: stream, decline: decline, lines: make(chan []byte, maxWaiting), gone: make(chan struct{}),
		beginning: make(chan struct{}, 1), waiting: map[any]*Question{}, listeners: map[*Listener]bool{}}
	go s.write()
	go s.read()
	return s
}

// Close ends the conversation. Who waits is told why.
func (s *Server) Close(why error) {
	s.end.Do(func() {
		s.why = why
		close(s.gone)
		s.stream.Close()
	})
}

func (s *Server) write() {
	for {
		select {
		case <-s.gone:
			return
		case line := <-s.lines:
			if _, err := s.stream.Write(append(line, '\n')); err != nil {
				s.Close(ErrGone)
			}
		}
	}
}

// send has a message written; where that would wait, it does as long as ctx.
func (s *Server) send(ctx context.Context, r mcp.Request) error {
	line, err := r.Written()
	if err != nil {
		return err
	}
	select {
	case <-s.gone:
		return s.why
	default:
	}
	select {
	case s.lines <- line:
		return nil
	case <-s.gone:
		return s.why
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mention has a message written that need not arrive: a server that does not read
// misses it.
func (s *Server) mention(line []byte, err error) {
	if err != nil {
		return
	}
	select {
	case s.lines <- line:
	default:
	}
}

func (s *Server) read() {
	lines := strictjson.NewLines(s.stream, mcp.MaxReply)
	for {
		line, err := lines.Next()
		var said mcp.Answer
		switch {
		case err == nil:
			said, err = mcp.ReadAnswer(line)
		case !errors.Is(err, strictjson.ErrLong):
			s.Close(ErrGone)
			return
		}
		if err != nil {
			s.unread(err)
			continue
		}
		if said.Reply() || said.ID != nil || len(line) <= maxNotice {
			s.hear(said)
		}
	}
}

// unread fails all that waits: nobody can tell whose reply it would have been.
func (s *Server) unread(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, q := range s.waiting {
		q.fail(fmt.Errorf("while it was to answer it said what cannot be read: %w", err))
		delete(s.waiting, id)
	}
	s.fault()
}

// fault counts what an honest server does not do.
func (s *Server) fault() {
	if s.faults++; s.faults > maxFaults {
		s.Close(mcp.ErrFlood)
	}
}

// hear takes one message to whom it is for.
func (s *Server) hear(said mcp.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case said.Reply():
		if q := s.waiting[said.ID]; q != nil {
			delete(s.waiting, said.ID)
			said.ID = q.asked.ID
			q.said <- said // there is room kept for it
		} else if !s.was(said.ID) {
			s.fault()
		}
	case said.ID != nil && said.Method == mcp.Ping:
		s.mention(mcp.Pong(said.ID))
	case said.ID != nil:
		if s.fault(); s.faults <= maxFaults {
			go s.decline(said.Method)
		}
		s.mention(mcp.Refusal(said.ID, mcp.CodeMethod, "not available here"), nil)
	case said.Token() != nil:
		own, _ := said.Token().(json.Number) // whatever else it may be is none of ours, and perhaps no key of a map
		if q := s.waiting[own]; q != nil && q.asked.Token() != nil {
			notice(q.said, said.About(q.asked.Token()))
		}
	case said.Heard():
		for l := range s.listeners {
			notice(l.said, said)
		}
	}
}

// was tells whether an id is one that a request had who has left.
func (s *Server) was(id any) bool {
	n, _ := id.(json.Number)
	number, err := strconv.ParseInt(string(n), 10, 64)
	return err == nil && number > 0 && number <= s.last
}

// notice hands a notification over, unless too many are waiting already.
func notice(to chan mcp.Answer, said mcp.Answer) {
	if len(to) < maxNotices {
		to <- said // only one says anything, under the lock
	}
}
