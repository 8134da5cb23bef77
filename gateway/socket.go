package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"nacre"
	"nacre/gateway/websocket"
)

// socketKey is where a request that asks for a WebSocket keeps it.
type socketKey struct{}

// farewell is how long the two sides of a WebSocket may take to say that it ends.
const farewell = 2 * time.Second

// socket is a WebSocket from a program inside to a server. Every frame is read and
// written anew, in both directions.
type socket struct {
	g         *Gateway
	d         nacre.Decision
	meter     *meter
	inside    net.Conn
	outside   io.ReadWriteCloser
	toProgram *websocket.Writer
	toServer  *websocket.Writer
	needles   *needles // of secrets, for what the server says
	lures     lures    // for what the program says
	out, in   chan struct{}
	refused   sync.Once
}

// switching is where the answer goes to a request that asks for a WebSocket.
type switching struct {
	http.ResponseWriter
	socket *socket
}

// askSocket makes a request that asks for a WebSocket ready to become one.
func (g *Gateway) askSocket(w http.ResponseWriter, r *http.Request, d nacre.Decision, m *meter) (http.ResponseWriter, *http.Request) {
	s := &socket{g: g, d: d, meter: m, out: make(chan struct{}), in: make(chan struct{})}
	if v, ok := r.Context().Value(visitorKey).(*visitor); ok {
		s.lures = g.lures.away(v.to.host)
	}
	return switching{w, s}, r.WithContext(context.WithValue(r.Context(), socketKey{}, s))
}

// switched takes over a connection outside that has become a WebSocket.
func (g *Gateway) switched(r *http.Response) error {
	s, ok := r.Request.Context().Value(socketKey{}).(*socket)
	body, both := r.Body.(io.ReadWriteCloser)
	if !ok || !both {
		return errors.New("the server changes the protocol, and nobody asked for it")
	}
	if err := websocket.Agreed(r.Request.Header, r.Header); err != nil {
		return err
	}
	s.needles = g.searches.of(g.secretsOf(r.Request))
	s.needles.maskAll(r.Header)
	s.outside, r.Body = body, s
	s.toServer = websocket.NewWriter(body, true)
	return nil
}

// Hijack takes over the connection inside, with what the program has said already.
func (w switching) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.socket.inside, w.socket.toProgram = ahead{c, b.Reader}, websocket.NewWriter(c, false)
	return w.socket.inside, b, nil
}

// Unwrap is for http.ResponseController.
func (w switching) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ahead is a connection of which some has been read ahead.
type ahead struct {
	net.Conn
	first *bufio.Reader
}

func (a ahead) Read(p []byte) (int, error) { return a.first.Read(p) }

// ReadFrom passes on what the program says.
func (s *socket) ReadFrom(io.Reader) (int64, error) {
	messages, control := newHunt(s.lures), newHunt(s.lures)
	from := io.Reader(s.inside)
	if s.meter.limit > 0 {
		from = &counted{from, s.meter}
	}
	r := websocket.NewReader(from, true, func(op websocket.Opcode, payload []byte) error {
		if control.sees(payload) {
			return errStray
		}
		return s.toServer.Frame(op, true, payload)
	})
	err := s.pass(r, s.toServer, func(from io.Reader) io.Reader { return hunted{from, messages} })
	return 0, s.end(err, s.out, s.in)
}

// WriteTo passes on what the server says.
func (s *socket) WriteTo(io.Writer) (int64, error) {
	r := websocket.NewReader(s.outside, false, func(op websocket.Opcode, payload []byte) error {
		return s.toProgram.Frame(op, true, s.needles.mask(payload))
	})
	err := s.pass(r, s.toProgram, func(from io.Reader) io.Reader { return newScrubber(io.NopCloser(from), nil, s.needles) })
	return 0, s.end(err, s.in, s.out)
}

// pass passes messages on, each as its pieces come; the last of one that breaks off
// is not.
func (s *socket) pass(from *websocket.Reader, to *websocket.Writer, through func(io.Reader) io.Reader) error {
	piece := make([]byte, 16<<10)
	for {
		op, err := from.Next()
		if err != nil {
			return err
		}
		for message := through(from); err == nil; op = websocket.Continuation {
			var n int
			if n, err = message.Read(piece); err != nil && err != io.EOF {
				return err
			}
			if failed := to.Frame(op, err == io.EOF, piece[:n]); failed != nil {
				return failed
			}
		}
	}
}

// end ends one direction. Where both sides know that it ends, it waits a moment for
// the other.
func (s *socket) end(err error, mine, other chan struct{}) error {
	var wrong websocket.Violation
	known, refused := err == io.EOF, true
	switch {
	case errors.As(err, &wrong):
		s.refuse(websocket.Malformed, err)
	case errors.Is(err, errQuota), errors.Is(err, errStray):
		s.refuse(websocket.Policy, err)
	default:
		refused = false
	}
	if refused && mine == s.out { // unread, it would have the connection reset, and the reason lost
		_, _ = io.Copy(io.Discard, s.inside) // until its deadline
	}
	close(mine)
	if known || refused {
		select {
		case <-other:
		case <-time.After(farewell):
		}
	}
	return io.ErrClosedPipe // nothing is left to be copied
}

// refuse records why a WebSocket ends and tells both sides.
func (s *socket) refuse(code uint16, why error) {
	s.refused.Do(func() {
		d := s.d
		d.Effect, d.Rule, d.Reason = nacre.Deny, "websocket", why.Error()
		var finding map[string]string
		if errors.Is(why, errStray) {
			d.Rule, d.Reason = "placeholder", strayed("frames")
			finding = map[string]string{"finding": "placeholder", "where": "frames"}
		}
		_ = s.g.intend(context.Background(), "request", d, finding) // it ends either way
		time.AfterFunc(farewell, func() { s.inside.Close(); s.outside.Close() })
		_ = s.inside.SetReadDeadline(time.Now().Add(farewell))
		_ = s.toProgram.Close(code, "Nacre: "+d.Reason)
		_ = s.toServer.Close(code, "")
	})
}

// Read is not how it is read: WriteTo is.
func (s *socket) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Write is not how it is written: ReadFrom is.
func (s *socket) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Close closes the connection outside.
func (s *socket) Close() error { return s.outside.Close() }
