package fakemodel

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// upgrade goes on with the Responses interface over a WebSocket: each message of
// the client's is a request ("response.create"), each event of the answer a
// message. What came before on this connection need not be sent again
// ("previous_response_id").
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, q *Request, d dialect) {
	if _, ok := d.(responses); !ok || s.Plain {
		q.Status = http.StatusUpgradeRequired // clients then go on with POST
		send(w, q.Status, d.refuse(q.Status, "there are no WebSockets here"))
		return
	}
	q.Status = http.StatusSwitchingProtocols
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // whatever Origin it names
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(maxBody)
	known := map[string][]any{}
	for {
		var ask map[string]any
		if err := wsjson.Read(r.Context(), c, &ask); err != nil {
			_ = c.Close(websocket.StatusNormalClosure, "")
			return
		}
		if err := s.respond(r.Context(), c, *q, ask, known); err != nil {
			return
		}
	}
}

// respond answers one request of a WebSocket, and remembers the conversation.
func (s *Server) respond(ctx context.Context, c *websocket.Conn, q Request, ask map[string]any, known map[string][]any) error {
	input, problem := whole(ask, known)
	if problem != "" {
		return s.complain(ctx, c, http.StatusBadRequest, problem)
	}
	ask["input"] = input
	delete(ask, "type")
	delete(ask, "previous_response_id")
	q.Body, _ = json.Marshal(ask) // it was JSON
	a, err := hear(responses{}, &q)
	if err != nil {
		return s.complain(ctx, c, http.StatusBadRequest, err.Error())
	}
	if ask["generate"] == false { // only to have the input there early
		s.note(q)
		return s.events(ctx, c, known, input, a, answer{id: s.name()})
	}
	step := s.next(a)
	if step.Status != 0 {
		q.Status = step.Status
	}
	s.note(q) // before it is answered
	if step.Status != 0 {
		return s.complain(ctx, c, step.Status, step.Say)
	}
	return s.events(ctx, c, known, input, a, s.compose(a, step))
}

// events sends an answer.
func (s *Server) events(ctx context.Context, c *websocket.Conn, known map[string][]any, input []any, a ask, r answer) error {
	for _, item := range (responses{}).items(r) {
		input = append(input, item)
	}
	known["resp_"+r.id] = input
	for _, e := range (responses{}).events(a, r) {
		if err := wsjson.Write(ctx, c, e.data); err != nil {
			return err
		}
	}
	return nil
}

// whole is the conversation that a request is about.
func whole(ask map[string]any, known map[string][]any) (input []any, problem string) {
	if ask["type"] != "response.create" {
		return nil, "only response.create is known here"
	}
	if before, ok := ask["previous_response_id"].(string); ok {
		if input, ok = known[before]; !ok {
			return nil, "previous_response_not_found"
		}
		input = append([]any(nil), input...)
	}
	switch more := ask["input"].(type) {
	case string:
		input = append(input, map[string]any{"type": "message", "role": "user", "content": more})
	case []any:
		input = append(input, more...)
	}
	return input, ""
}

func (s *Server) complain(ctx context.Context, c *websocket.Conn, status int, message string) error {
	e := responses{}.refuse(status, message).(map[string]any)
	e["type"], e["status"] = "error", status
	return wsjson.Write(ctx, c, e)
}
