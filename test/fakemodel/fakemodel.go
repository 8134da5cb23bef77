// Package fakemodel is a model server for tests: it speaks the interfaces of
// Anthropic (Messages), OpenAI (Chat Completions, Responses) and Google
// (generateContent), streaming and not, and answers out of a script. Real agents
// take it for the real thing; nothing leaves the machine.
package fakemodel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// The interfaces, by the names that Request.API has.
const (
	Messages  = "messages"
	Chat      = "chat"
	Responses = "responses"
	Gemini    = "gemini"
)

// Server answers like a provider of models. The zero Server answers every
// prompt with a short text, whatever key it is shown.
type Server struct {
	Script Script
	// Key is the only one that is accepted, in the place where the interface has
	// it; empty: any, or none.
	Key string
	// Think, if there is one, is asked in place of the script.
	Think func(Heard) Step
	// Plain refuses WebSockets, as providers do that have none.
	Plain bool
	// Hold, if there is one, is called before an answer with the number of tool
	// results in the conversation.
	Hold func(results int)

	mu       sync.Mutex
	requests []Request
	answers  int
}

// Heard is what a model has to go by.
type Heard struct {
	Last   string // the text of the last message, a user's or a tool's
	Rounds int    // how often the conversation has results of tools
	Tools  []Tool
}

// Request is one that arrived, as it arrived.
type Request struct {
	Method, Path string
	API          string // which interface; empty: none that is known
	Header       http.Header
	Body         []byte
	Key          string // what was in the place for the key
	Status       int    // of the answer
	Results      int    // how many tool results its conversation holds
	Shell        string // the name of the tool in it that runs commands
}

// Requests are those that arrived so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// maxBody bounds a request; those of agents are some ten kilobytes.
const maxBody = 16 << 20

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	q := Request{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body}
	noted := &noting{w, s, &q}
	if err != nil {
		q.Status = http.StatusRequestEntityTooLarge
		noted.WriteHeader(q.Status)
	} else {
		s.answer(noted, r, &q)
	}
}

// noting notes a request when its answer begins: who has the answer finds it noted.
type noting struct {
	http.ResponseWriter
	server *Server
	q      *Request
}

// WriteHeader begins the answer.
func (n *noting) WriteHeader(status int) {
	n.server.note(*n.q)
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController, and who takes over the connection.
func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func (s *Server) note(q Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, q)
}

// name is one that no other answer has.
func (s *Server) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
	return fmt.Sprintf("%04d", s.answers)
}

// answer finds the interface that is meant and speaks it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, q *Request) {
	d, action := meant(r)
	if d == nil {
		q.Status = http.StatusNotFound
		send(w, q.Status, map[string]any{"error": map[string]any{"message": "there is nothing at " + r.URL.Path}})
		return
	}
	q.API, q.Key = d.name(), d.key(r)
	if s.Key != "" && q.Key != s.Key {
		q.Status = http.StatusUnauthorized
		send(w, q.Status, d.refuse(q.Status, "the key is not valid"))
		return
	}
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.upgrade(w, r, q, d)
	case action == list:
		q.Status = http.StatusOK
		send(w, q.Status, map[string]any{"object": "list", "data": []any{map[string]any{"id": "fake", "object": "model", "type": "model"}}})
	case r.Method != http.MethodPost:
		q.Status = http.StatusMethodNotAllowed
		send(w, q.Status, d.refuse(q.Status, "POST it"))
	default:
		s.converse(w, r, q, d, action)
	}
}

// converse reads a conversation and goes on with it.
func (s *Server) converse(w http.ResponseWriter, r *http.Request, q *Request, d dialect, action action) {
	a, err := hear(d, q)
	if err != nil {
		q.Status = http.StatusBadRequest
		send(w, q.Status, d.refuse(q.Status, err.Error()))
		return
	}
	if action == stream {
		a.stream = true
	}
	if a.model == "" {
		a.model = modelOf(r.URL.Path)
	}
	if action == count {
		send(w, q.Status, map[string]any{"input_tokens": a.in, "totalTokens": a.in})
		return
	}
	step := s.next(a)
	if step.Status != 0 {
		q.Status = step.Status
		send(w, q.Status, d.refuse(q.Status, step.Say))
		return
	}
	reply := s.compose(a, step)
	if a.stream {
		flow(w, d.events(a, reply))
	} else {
		send(w, q.Status, d.whole(a, reply))
	}
}

// hear reads what is asked, and notes it.
func hear(d dialect, q *Request) (a ask, err error) {
	if err = d.read(q.Body, &a); err != nil {
		return a, err
	}
	a.in = len(q.Body)/4 + 1
	shell, _ := shellTool(a.tools)
	q.Results, q.Shell, q.Status = a.results, shell.Name, http.StatusOK
	return a, nil
}

// next is what the model does.
func (s *Server) next(a ask) Step {
	if s.Hold != nil {
		s.Hold(a.results)
	}
	if s.Think != nil {
		return s.Think(Heard{Last: a.last, Rounds: a.rounds, Tools: a.tools})
	}
	return s.Script.next(a)
}

// compose makes a step into what the model says.
func (s *Server) compose(a ask, step Step) answer {
	id := s.name()
	r := answer{id: id, text: step.Say}
	if t, ok := shellTool(a.tools); ok && step.Shell != "" {
		r.calls = append(r.calls, call{tool: t, args: t.arguments(step.Shell), script: t.text(step.Shell)})
	}
	for _, use := range step.Calls {
		if t, ok := named(a.tools, use.Tool); ok {
			r.calls = append(r.calls, call{tool: t, args: use.Args})
		}
	}
	if r.text == "" && r.calls == nil {
		r.text = "Done."
	}
	r.out = len(r.text)/4 + 1
	for i := range r.calls {
		r.calls[i].id = fmt.Sprintf("call_%s_%d", id, i)
		r.out += len(r.calls[i].json()) / 4
	}
	return r
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// event is one of a stream; without a name, only its data is sent.
type event struct {
	name string
	data any
}

// flow sends events as they would come from a model, each by itself.
func flow(w http.ResponseWriter, events []event) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	for _, e := range events {
		if e.name != "" {
			_, _ = fmt.Fprintf(w, "event: %s\n", e.name)
		}
		b, _ := json.Marshal(e.data) // of this package's making
		if text, ok := e.data.(string); ok {
			b = []byte(text)
		}
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
		_ = out.Flush()
	}
}
