package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"time"

	"nacre"
	"nacre/gateway/mcp"
	"nacre/gateway/wire"
	"nacre/tools"
)

const (
	toolTime    = 10 * time.Minute // for one answer
	answerTime  = 10 * time.Second // for what a server is told of its own requests
	maxStream   = 64 << 20         // bytes of one stream of events
	maxNotice   = 64 << 10         // bytes of one event where nothing was asked
	maxRequests = 64               // of a server's own, in one stream
)

// outward is a request to the server, made anew: nothing of the program's is in
// it but what was read.
func (e *talk) outward(ctx context.Context, method string, body []byte) (*http.Request, error) {
	scheme := map[bool]string{true: "http", false: "https"}[e.at.Plain]
	at := url.URL{Scheme: scheme, Host: authorityOf(scheme, e.at.Host, e.at.Port), Path: e.at.Path}
	out, err := http.NewRequestWithContext(onTrip(ctx, e.grant), method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Header.Set("User-Agent", "nacre")
	out.Header.Set("Accept-Encoding", "identity")
	out.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		out.Header.Set("Content-Type", "application/json")
	}
	for _, name := range []string{sessionHeader, versionHeader} {
		if value := e.r.Header.Get(name); value != "" && (name != versionHeader || mcp.Known(value)) {
			out.Header.Set(name, value)
		}
	}
	return out, inject(e.secretsAt(e.at.Inside), e.secretsOf(e.r), out)
}

// send makes a request and takes what the reply says of secrets out of it.
func (e *talk) send(out *http.Request) (*http.Response, error) {
	reply, err := e.outside.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	reply.Body = farBody{reply.Body, out.Context()}
	if encoded(reply.Header) != "" {
		reply.Body.Close()
		return nil, errors.New("the reply is compressed although it was not to be")
	}
	if err := scrub(e.searches.of(e.secretsOf(e.r)), reply); err != nil {
		reply.Body.Close()
		return nil, err
	}
	return reply, nil
}

// begin records the request and sends it. Where it cannot, it has answered.
func (e *talk) begin(ctx context.Context, method string, id any, body []byte) (*http.Response, bool) {
	if err := e.intend(ctx, "tool", e.d, e.detail); err != nil {
		e.answer(http.StatusServiceUnavailable, mcp.Refusal(id, mcp.CodeDenied, err.Error()))
		return nil, false
	}
	out, err := e.outward(ctx, method, body)
	if err == nil {
		var reply *http.Response
		if reply, err = e.send(out); err == nil {
			return reply, true
		}
	}
	e.broken(id, err)
	return nil, false
}

// broken records and answers that the server did not do what it may.
func (e *talk) broken(id any, err error) {
	e.answer(http.StatusBadGateway, e.fault(id, err))
}

func (e *talk) fault(id any, err error) []byte {
	d, detail := e.d, maps.Clone(e.detail)
	what := wire.Allowed + "and " + e.at.Name + " does not answer as it should: "
	d.Effect, d.Reason = nacre.Deny, what+err.Error()
	_ = e.intend(context.Background(), "tool", d, detail) // nothing is passed on either way
	return mcp.Refusal(id, mcp.CodeDenied, what+forProgram(err))
}

// exchange sends a message on and passes what the server answers.
func (e *talk) exchange(asked mcp.Request) {
	if e.at.lines != nil {
		e.converse(asked)
		return
	}
	ctx, cancel := context.WithTimeout(e.r.Context(), toolTime)
	defer cancel()
	body, err := asked.Written()
	if err != nil {
		e.broken(asked.ID, err)
		return
	}
	reply, ok := e.begin(ctx, http.MethodPost, asked.ID, body)
	if !ok {
		return
	}
	defer reply.Body.Close()
	switch kind, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type")); {
	case reply.StatusCode >= http.StatusMultipleChoices:
		e.failed(asked.ID, reply)
	case asked.ID == nil:
		e.w.WriteHeader(http.StatusAccepted)
	case reply.StatusCode != http.StatusOK:
		e.broken(asked.ID, fmt.Errorf("it answers %d", reply.StatusCode))
	case !e.session(asked, reply):
		e.broken(asked.ID, errors.New("its session has no proper name"))
	case kind == "application/json":
		e.whole(asked, reply.Body)
	case kind == "text/event-stream":
		e.stream(&asked, reply.Body)
	default:
		e.broken(asked.ID, fmt.Errorf("it answers with %.40q", kind))
	}
}

// failed passes on that the server refuses, but not what it says of it.
func (e *talk) failed(id any, reply *http.Response) {
	if reply.StatusCode == http.StatusNotFound {
		e.at.closed(e.r.Header.Get(sessionHeader))
	}
	status := reply.StatusCode
	if status < http.StatusBadRequest {
		status = http.StatusBadGateway // redirects are not followed
	}
	e.answer(status, e.fault(id, fmt.Errorf("it answers %d", reply.StatusCode)))
}

// session notes the session that a server opens, and tells the program.
func (e *talk) session(asked mcp.Request, reply *http.Response) bool {
	id := reply.Header.Get(sessionHeader)
	if asked.Method != mcp.Initialize || id == "" {
		return true
	}
	e.w.Header().Set(sessionHeader, id)
	return e.at.opened(id)
}

// whole passes a reply on that is one message.
func (e *talk) whole(asked mcp.Request, from io.Reader) {
	b, err := io.ReadAll(io.LimitReader(from, mcp.MaxReply+1))
	if err == nil && len(b) > mcp.MaxReply {
		err = mcp.ErrFlood
	}
	var said mcp.Answer
	if err == nil {
		said, err = mcp.ReadAnswer(b)
	}
	if err == nil {
		b, err = e.understood(asked, said)
	}
	if err != nil {
		e.broken(asked.ID, err)
		return
	}
	e.answer(http.StatusOK, b)
}

// understood is a reply as it is passed on.
func (e *talk) understood(asked mcp.Request, said mcp.Answer) ([]byte, error) {
	if said.ID == nil && said.Error != nil {
		said.ID = asked.ID
	}
	if !said.Reply() || said.ID != asked.ID {
		return nil, errors.New("it answers something else")
	}
	var shown []mcp.Definition
	if asked.Method == mcp.List && said.Error == nil {
		all, err := said.Definitions()
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if e.shows(d) {
				shown = append(shown, d)
			}
		}
	}
	return said.Written(asked.Method, shown)
}

// shows tells whether a program sees a tool: it is granted, and what it was.
func (e *talk) shows(d mcp.Definition) bool {
	grants := e.granted()
	event := tools.Decide(grants, tools.Call{Server: e.at.Name, Tool: d.Name, Any: true})
	if event.Effect != nacre.Allow {
		return false
	}
	first := e.at.sight(d)
	detail := map[string]string{"server": e.at.Name, "tool": d.Name, "definition": d.Digest}
	if why := e.at.unsound(d.Name, grants); why != "" {
		event.Effect, event.Reason = nacre.Deny, why
	} else if !first {
		return true
	} else {
		event.Reason = "first seen: this definition counts for the run"
	}
	return e.intend(context.Background(), "tool", event, detail) == nil
}

// listen passes on what a server says unasked.
func (e *talk) listen() {
	if e.at.lines != nil {
		e.overhear()
		return
	}
	reply, ok := e.begin(e.r.Context(), http.MethodGet, nil, nil)
	if !ok {
		return
	}
	defer reply.Body.Close()
	switch kind, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type")); {
	case reply.StatusCode == http.StatusMethodNotAllowed: // a server need not have it
		e.w.WriteHeader(reply.StatusCode)
	case reply.StatusCode >= http.StatusMultipleChoices:
		e.failed(nil, reply)
	case reply.StatusCode == http.StatusOK && kind == "text/event-stream":
		e.stream(nil, reply.Body)
	default:
		e.broken(nil, fmt.Errorf("it answers %d with %.40q", reply.StatusCode, kind))
	}
}

// end has the server forget a session.
func (e *talk) end() {
	if e.at.lines != nil {
		e.at.closed(e.r.Header.Get(sessionHeader))
		e.w.WriteHeader(http.StatusNoContent)
		return
	}
	ctx, cancel := context.WithTimeout(e.r.Context(), toolTime)
	defer cancel()
	reply, ok := e.begin(ctx, http.MethodDelete, nil, nil)
	if !ok {
		return
	}
	reply.Body.Close()
	e.at.closed(e.r.Header.Get(sessionHeader))
	e.w.WriteHeader(reply.StatusCode)
}
