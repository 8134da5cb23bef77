package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/gateway/websocket"
	"nacre/gateway/wire"
)

// key is what is remembered with a connection or a request.
type key int

const (
	visitorKey key = iota
	tripKey
	intentKey
	billKey
)

const (
	maxHeader = 64 << 10
	headers   = 30 * time.Second // until a request's headers are there
	keep      = 2 * time.Minute  // a connection without a request
)

func (g *Gateway) newServer() *http.Server {
	proxy := &httputil.ReverseProxy{
		Rewrite:       g.rewrite,
		Transport:     likewise{g.lazily(false), g.lazily(true)},
		BufferPool:    &buffers{},
		FlushInterval: -1, // every piece at once: streams of events
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  g.unreachable,
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Alt-Svc") // other ways to the host, which there are none of
			count(r)
			g.answered(r)
			if r.StatusCode == http.StatusSwitchingProtocols {
				return g.switched(r)
			}
			return scrub(g.searches.of(g.secretsOf(r.Request)), r)
		},
	}
	return &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.request(proxy, w, r) }),
		ReadHeaderTimeout: headers, IdleTimeout: keep, MaxHeaderBytes: maxHeader,
		ErrorLog:    log.New(io.Discard, "", 0),
		ConnContext: remember,
		// "OPTIONS *" is decided upon as well, and refused.
		DisableGeneralOptionsHandler: true,
	}
}

// remember keeps where a connection goes with its requests.
func remember(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, visitorKey, c)
}

// likewise makes a request outside in the version of HTTP in which it came: where a
// program takes HTTP/1.1, that is also faster outside.
type likewise struct{ one, two http.RoundTripper }

// RoundTrip makes it.
func (l likewise) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor > 1 {
		return l.two.RoundTrip(r)
	}
	return l.one.RoundTrip(r)
}

// later is a transport that is made when it is needed: before that, its authorities
// need not be read.
type later func() *http.Transport

// RoundTrip makes a request.
func (l later) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l().RoundTrip(r)
	return answer, fromBeyond(r.Context(), err)
}

func (g *Gateway) lazily(two bool) later {
	return sync.OnceValue(func() *http.Transport { return g.transport(two) })
}

// transport makes requests outside, in HTTP/2 where that is wanted and spoken.
func (g *Gateway) transport(two bool) *http.Transport {
	var spoken http.Protocols
	spoken.SetHTTP1(true)
	spoken.SetHTTP2(two)
	return &http.Transport{
		Protocols: &spoken,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			t := tripOf(ctx)
			host, port, err := net.SplitHostPort(address)
			number, err2 := strconv.Atoi(port)
			if t == nil || err != nil || err2 != nil {
				return nil, errors.New("no grant is behind this connection")
			}
			return g.dialer.dial(ctx, t.grant, host, number)
		},
		TLSClientConfig:     g.dialer.secure(),
		DisableCompression:  true, // what is inside decides
		MaxIdleConnsPerHost: 16, IdleConnTimeout: keep, TLSHandshakeTimeout: connecting,
		MaxResponseHeaderBytes: 4 * maxHeader, ExpectContinueTimeout: time.Second,
	}
}

// buffers are what bodies pass through.
type buffers struct{ free sync.Pool }

// Get takes one.
func (b *buffers) Get() []byte {
	if one, ok := b.free.Get().(*[]byte); ok {
		return *one
	}
	return make([]byte, 32<<10)
}

// Put gives one back, with nothing in it that another could see.
func (b *buffers) Put(one []byte) {
	clear(one)
	b.free.Put(&one)
}

// rewrite makes the request that goes out: the same, but for what is only
// between two neighbours, and for secrets. Where it goes is made anew, of what was
// decided upon.
func (g *Gateway) rewrite(p *httputil.ProxyRequest) {
	i, ok := p.In.Context().Value(intentKey).(egress.Intent)
	path, err := url.PathUnescape(i.Path)
	p.Out.URL = &url.URL{Scheme: i.Scheme, Host: authorityOf(i.Scheme, i.Host, i.Port), Path: path, RawPath: i.Path, RawQuery: p.In.URL.RawQuery}
	if desk := g.deskOf(p.In); desk != nil {
		p.Out.URL.Scheme = map[bool]string{true: "http", false: "https"}[desk.Plain]
		p.Out.URL.Host = authorityOf(p.Out.URL.Scheme, desk.Host, desk.Port)
	}
	p.Out.Host = p.Out.URL.Host
	for _, name := range []string{"Proxy-Authorization", "Proxy-Connection", "Sec-Websocket-Extensions"} { // compressed frames cannot be searched
		p.Out.Header.Del(name)
	}
	if !ok || err != nil || p.Out.URL.EscapedPath() != i.Path || inject(g.secretsAt(i.Host), g.secretsOf(p.Out), p.Out) != nil {
		p.Out.URL.Scheme = "none" // which the transport refuses: request has seen to it before
	}
}

// secretsOf are the secrets that go out with a request.
func (g *Gateway) secretsOf(r *http.Request) []wire.Secret {
	if ready := readiedOf(r); ready != nil {
		return ready.secrets
	}
	return nil
}

// request decides on one request.
func (g *Gateway) request(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	i, err := intentOf(r)
	if err != nil {
		d := nacre.Decision{Capability: nacre.CapNetwork, Subject: i.String(), Rule: "request", Reason: err.Error()}
		g.deny(w, r, d, nil)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), intentKey, i))
	d, grant, detail := g.permit(i, r)
	m := g.meters.of(grant)
	if d.Effect == nacre.Allow && i.Upgrade != "" {
		if err := websocket.Asked(r); err != nil {
			d.Effect, d.Reason = nacre.Deny, err.Error()
		}
	}
	if d.Effect == nacre.Allow {
		if why, again := m.admit(r.ContentLength, time.Now()); why != "" {
			d.Effect, d.Reason = nacre.Deny, why
			if again > 0 {
				g.tooMany(w, r, d, detail, again)
				return
			}
		}
	}
	if d.Effect != nacre.Allow {
		g.deny(w, r, d, detail)
		return
	}
	defer m.done()
	g.narrow(r)
	if err := g.used(i, r, detail); err != nil {
		d.Effect, d.Reason = nacre.Deny, err.Error()
		g.deny(w, r, d, detail)
		return
	}
	if r = g.ready(w, r, d, detail); r == nil {
		return // it has answered
	}
	if desk := g.deskOf(r); desk != nil {
		g.serveModel(desk, proxy, w, r, d, grant, detail)
		return
	}
	if b := g.benchOf(r); b != nil {
		g.serveTools(&talk{g, b, w, r, d, grant, detail})
		return
	}
	if err := g.intend(r.Context(), "request", d, detail); err != nil {
		explain(w, r, http.StatusServiceUnavailable, d, err.Error())
		return
	}
	if r.Body != nil && r.Body != http.NoBody && m.bounded() {
		r.Body = struct {
			io.Reader
			io.Closer
		}{&counted{r.Body, m}, r.Body}
	}
	if len(g.secretsAt(i.Host)) > 0 {
		w = mute{w}
	}
	if i.Upgrade != "" {
		w, r = g.askSocket(w, r, d, m)
	}
	proxy.ServeHTTP(w, r.WithContext(onTrip(r.Context(), grant)))
}

// used says which secrets go out with a request, by name and fingerprint.
func (g *Gateway) used(i egress.Intent, r *http.Request, detail map[string]string) error {
	var names []string
	for _, s := range g.secretsFor(i, r) {
		switch {
		case i.Scheme != "https" && !s.Plain:
			return fmt.Errorf("the secret %s goes out through TLS only", s.Name)
		case !s.Maskable():
			return fmt.Errorf("the secret %s is too short to be found again in replies: it needs %d bytes, a password alone too", s.Name, wire.Shortest)
		}
		names = append(names, s.Name+" "+s.Fingerprint)
	}
	if name := ownParameter(g.secretsAt(i.Host), r.URL.RawQuery); name != "" {
		return fmt.Errorf("the parameter %.60q may hold a credential, and where the owner's secret goes out no other does", name)
	}
	if names != nil {
		detail["secrets"] = strings.Join(names, ", ")
	}
	return nil
}

// decide asks about a request as it is, then as what it means to git.
func (g *Gateway) decide(i egress.Intent, r *http.Request) (nacre.Decision, nacre.NetworkGrant, map[string]string) {
	detail := map[string]string{}
	if i.Upgrade != "" {
		detail["upgrade"] = i.Upgrade
	}
	d, grant := g.rules().Decide(i)
	if d.Effect == nacre.Allow {
		for _, other := range meanings(i, r) {
			if also, _ := g.rules().Decide(other); also.Effect != nacre.Allow {
				also.Reason = "to many servers the request means " + other.String() + ", and " + also.Reason
				return also, grant, detail
			}
		}
		return d, grant, detail
	}
	meant, git, err := gitIntent(i, r)
	if !git {
		return d, grant, detail
	}
	if meant.Refs != nil {
		detail["refs"] = strings.Join(meant.Refs, " ")
	}
	d, grant = g.rules().Decide(meant)
	if err != nil {
		d.Effect, d.Reason = nacre.Deny, err.Error()
	}
	return d, grant, detail
}

// deny records and explains.
func (g *Gateway) deny(w http.ResponseWriter, r *http.Request, d nacre.Decision, detail map[string]string) {
	_ = g.intend(r.Context(), "request", d, detail)
	code := http.StatusForbidden
	if upgrade(r) != "" {
		w.Header().Set("Connection", "close") // what follows may be no requests
		if g.asksModel(r) {
			code = http.StatusUpgradeRequired // its clients then do without
			w.Header().Set("Upgrade", "HTTP/1.1")
		}
	}
	explain(w, r, code, d, d.Reason)
}

// tooMany records and explains that there are too many requests now, as servers do:
// clients then wait by themselves.
func (g *Gateway) tooMany(w http.ResponseWriter, r *http.Request, d nacre.Decision, detail map[string]string, again time.Duration) {
	_ = g.intend(r.Context(), "request", d, detail) // it is denied either way
	w.Header().Set("Retry-After", strconv.Itoa(int((again+time.Second-1)/time.Second)))
	if upgrade(r) != "" {
		w.Header().Set("Connection", "close") // what follows may be no requests
	}
	explain(w, r, http.StatusTooManyRequests, d, d.Reason)
}

// explain answers with one plain sentence.
func explain(w http.ResponseWriter, r *http.Request, code int, d nacre.Decision, why string) {
	kind, what := "denied_by_sandbox", "Nacre, the sandbox that you run in, does not let this out: "
	switch code {
	case http.StatusTooManyRequests:
		kind, what = "too_many_requests", "Nacre, the sandbox that you run in, does not let more out now: "
	case http.StatusBadGateway:
		kind, what = "unreachable", "this is allowed, and the other side cannot be reached: "
	}
	body, err := json.Marshal(map[string]any{"error": map[string]string{"type": kind, "message": what + why, "rule": d.Rule}})
	if err != nil {
		body = nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		w.Header().Set("Connection", "close") // the body is not read
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}

// unreachable answers where the other side could not.
func (g *Gateway) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	i, _ := intentOf(r)
	d, _ := g.rules().Decide(i)
	if readiedOf(r).strayed() {
		explain(w, r, http.StatusForbidden, d, errStray.Error()) // it is recorded
		return
	}
	code := http.StatusBadGateway
	if errors.Is(err, errQuota) {
		code = http.StatusRequestEntityTooLarge
		d.Effect, d.Reason = nacre.Deny, err.Error()
		_ = g.intend(context.Background(), "request", d, nil)
	} else {
		g.failed(d, err)
	}
	explain(w, r, code, d, forProgram(err))
}
