package gateway

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"

	"nacre"
	"nacre/gateway/mcp"
	"nacre/gateway/stdio"
	"nacre/gateway/wire"
	"nacre/pattern"
	"nacre/tools"
)

// bench is one tool server: what is granted there, and what is known of it.
type bench struct {
	wire.ToolServer
	grants []tools.Grant
	room   chan struct{} // for exchanges at once: each may need memory
	seats  chan struct{} // for streams at once, which need little
	lines  *stdio.Server // with whom to speak in lines, in place of HTTP; nil: nobody

	mu       sync.Mutex
	sessions map[string]bool   // that it has opened for this sandbox
	seen     map[string]string // digests of definitions, as first seen
	unfit    map[string]string // tools whose definition is refused, and why
}

const (
	maxExchanges   = 16
	maxStreams     = 64
	maxOpened      = 1024
	maxDefinitions = 4096
)

func (g *Gateway) newBenches(servers []wire.ToolServer) (map[string]*bench, error) {
	benches := map[string]*bench{}
	for _, s := range servers {
		b := &bench{ToolServer: s, room: make(chan struct{}, maxExchanges), seats: make(chan struct{}, maxStreams),
			sessions: map[string]bool{}, seen: map[string]string{}, unfit: map[string]string{}}
		for _, n := range s.Grants {
			if g, err := tools.Read(n); err == nil { // which the launcher has seen to; else it grants nothing
				b.grants = append(b.grants, g)
			}
		}
		if err := g.connect(b); err != nil {
			return nil, err
		}
		benches[s.Inside] = b
	}
	return benches, nil
}

// benchOf is the tool server that a request is for; nil: it is for something else.
func (g *Gateway) benchOf(r *http.Request) *bench {
	if v, ok := r.Context().Value(visitorKey).(*visitor); ok {
		return g.benches[v.to.host]
	}
	return nil
}

// talk is one request to a tool server.
type talk struct {
	*Gateway
	at     *bench
	w      http.ResponseWriter
	r      *http.Request
	d      nacre.Decision
	grant  nacre.NetworkGrant
	detail map[string]string
}

// serveTools decides on a request to a tool server, and does it.
func (g *Gateway) serveTools(e *talk) {
	e.d.Capability = nacre.CapTools
	e.detail["server"] = e.at.Name
	room := e.at.room
	if e.r.Method == http.MethodGet {
		room = e.at.seats
	}
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	default:
		e.refuse(http.StatusTooManyRequests, nil, mcp.CodeDenied, "too many requests to "+e.at.Name+" at once")
		return
	}
	if err := e.headers(); err != nil {
		e.refuse(http.StatusBadRequest, nil, mcp.CodeInvalid, err.Error())
		return
	}
	if id := e.r.Header.Get(sessionHeader); id != "" && !e.at.has(id) {
		e.refuse(http.StatusNotFound, nil, mcp.CodeDenied, "the server has opened no such session for this sandbox")
		return
	}
	switch e.r.Method {
	case http.MethodPost:
		e.post()
	case http.MethodGet:
		e.d.Subject = e.at.Name + " stream"
		e.listen()
	default:
		e.d.Subject = e.at.Name + " end of session"
		e.end()
	}
}

// The headers of the protocol.
const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
	methodHeader  = "Mcp-Method"
	nameHeader    = "Mcp-Name"
)

// headers refuses what servers could read in two ways.
func (e *talk) headers() error {
	for _, name := range []string{sessionHeader, versionHeader, methodHeader, nameHeader, "Content-Type", "Content-Encoding"} {
		if len(e.r.Header.Values(name)) > 1 {
			return errors.New("the header " + name + " is there twice")
		}
	}
	if encoded(e.r.Header) != "" {
		return errors.New("the request is compressed, and cannot be read")
	}
	return nil
}

// read reads what the program says, and holds headers that say it again to it.
func (e *talk) read() (mcp.Request, error) {
	if kind, _, err := mime.ParseMediaType(e.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return mcp.Request{}, errors.New("the request is not application/json")
	}
	body, err := io.ReadAll(io.LimitReader(e.r.Body, mcp.MaxRequest+1))
	if err != nil {
		return mcp.Request{}, err
	}
	if len(body) > mcp.MaxRequest {
		return mcp.Request{}, errors.New("the request is over its limit")
	}
	asked, err := mcp.ReadRequest(body)
	if err != nil {
		return asked, err
	}
	for name, said := range map[string]string{methodHeader: asked.Method, nameHeader: asked.Tool} {
		if values := e.r.Header.Values(name); len(values) > 0 && values[0] != said {
			return asked, errors.New("the header " + name + " is not what the body says")
		}
	}
	return asked, nil
}

// post decides on a message of the program's.
func (e *talk) post() {
	asked, err := e.read()
	if err != nil {
		e.refuse(http.StatusBadRequest, asked.ID, mcp.CodeInvalid, err.Error())
		return
	}
	e.detail["method"] = asked.Method
	e.d.Subject = e.at.Name + " " + asked.Method
	version := e.r.Header.Get(versionHeader)
	switch {
	case !asked.Allowed():
		e.refuse(http.StatusOK, asked.ID, mcp.CodeMethod, "there are tools, and nothing else, at "+e.at.Name)
		return
	case asked.Method == mcp.Initialize && e.r.Header.Get(sessionHeader) != "":
		e.refuse(http.StatusBadRequest, asked.ID, mcp.CodeInvalid, "a session begins without one")
		return
	case asked.Method != mcp.Initialize && version != "" && !mcp.Known(version):
		e.refuse(http.StatusBadRequest, asked.ID, mcp.CodeInvalid, "that version of the protocol is not known here")
		return
	}
	if asked.Method == mcp.CallTool {
		e.detail["tool"], e.detail["arguments"] = asked.Tool, mcp.Digest(asked.Arguments())
		d := tools.Decide(e.granted(), tools.Call{Server: e.at.Name, Tool: asked.Tool, Arguments: asked.Arguments()})
		if d.Effect == nacre.Allow {
			if why := e.at.unsound(asked.Tool, e.granted()); why != "" {
				d.Effect, d.Reason = nacre.Deny, why
			}
		}
		if e.d = d; d.Effect != nacre.Allow {
			e.refuse(http.StatusOK, asked.ID, mcp.CodeDenied, d.Reason)
			return
		}
	}
	e.exchange(asked)
}

// granted are the grants that still hold.
func (e *talk) granted() []tools.Grant {
	now := e.rules().Toward(e.at.Inside, 443)
	return slices.DeleteFunc(slices.Clone(e.at.grants), func(t tools.Grant) bool {
		return !slices.ContainsFunc(now, func(n nacre.NetworkGrant) bool { return n.ID == t.ID })
	})
}

// unsound is why the definition of a tool is not the one that was granted or first
// seen; empty where it is.
func (b *bench) unsound(tool string, grants []tools.Grant) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if why := b.unfit[tool]; why != "" {
		return why
	}
	for _, g := range grants {
		switch pin := g.Pins[tool]; {
		case pin == "" || pin == b.seen[tool]:
		case b.seen[tool] == "":
			return "the tool is pinned, and its definition has not been seen: list the tools first"
		default:
			return "the definition of the tool is not the one that is pinned"
		}
	}
	return ""
}

// sight notes the definition of a tool: the first one counts for the whole run.
func (b *bench) sight(d mcp.Definition) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, known := b.seen[d.Name]
	switch {
	case known && before != d.Digest:
		b.unfit[d.Name] = "the definition of the tool has changed since it was first seen"
	case !known && len(b.seen) >= maxDefinitions:
		b.unfit[d.Name] = "the server has more tools than are taken"
	case !known && d.Unseen != "":
		b.unfit[d.Name] = "the definition of the tool has a character that nobody sees, " + d.Unseen
		fallthrough
	case !known:
		b.seen[d.Name] = d.Digest
	}
	return !known
}

func (b *bench) has(session string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[session]
}

var visible = pattern.Of(`^[!-~]{1,256}$`)

// opened notes a session that the server has opened; false: it cannot be one.
func (b *bench) opened(session string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !visible().MatchString(session) || len(b.sessions) >= maxOpened && !b.sessions[session] {
		return false
	}
	b.sessions[session] = true
	return true
}

func (b *bench) closed(session string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, session)
}

// refuse records a denial and answers with it, in the words of the protocol.
func (e *talk) refuse(status int, id any, code int, why string) {
	e.d.Effect, e.d.Reason = nacre.Deny, why
	_ = e.intend(context.Background(), "tool", e.d, e.detail) // it is denied either way
	e.answer(status, mcp.Refusal(id, code, "Nacre, the sandbox that you run in, does not let this out: "+why))
}

// answer writes a whole message.
func (e *talk) answer(status int, b []byte) {
	e.w.Header().Set("Content-Type", "application/json")
	e.w.Header().Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusBadRequest && e.r.ProtoMajor == 1 {
		e.w.Header().Set("Connection", "close") // the body may not be read to its end
	}
	e.w.WriteHeader(status)
	_, _ = e.w.Write(e.masked(b))
}

// masked is a message without the server's secrets: written anew, it may say plainly
// what was escaped in the reply that was searched.
func (e *talk) masked(b []byte) []byte {
	return e.searches.of(e.secretsAt(e.at.Inside)).mask(b)
}
