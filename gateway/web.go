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
	"strconv"
	"strings"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
	"nacre/manifest"
)

// key is what is remembered with a connection or a request.
type key int

const (
	visitorKey key = iota
	grantKey
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
		Transport:     g.transport(),
		FlushInterval: -1, // every piece at once: streams of events
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  g.unreachable,
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Alt-Svc") // other ways to the host, which there are none of
			count(r)
			g.answered(r)
			return scrub(g.secretsOf(r.Request), r)
		},
	}
	return &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.request(proxy, w, r) }),
		ReadHeaderTimeout: headers, IdleTimeout: keep, MaxHeaderBytes: maxHeader,
		ErrorLog:    log.New(io.Discard, "", 0),
		ConnContext: remember,
	}
}

// remember keeps where a connection goes with its requests.
func remember(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, visitorKey, c)
}

// transport makes requests outside.
func (g *Gateway) transport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			grant, ok := ctx.Value(grantKey).(nacre.NetworkGrant)
			host, port, err := net.SplitHostPort(address)
			number, err2 := strconv.Atoi(port)
			if !ok || err != nil || err2 != nil {
				return nil, errors.New("no grant is behind this connection")
			}
			return g.dialer.dial(ctx, grant, host, number)
		},
		TLSClientConfig:     g.dialer.secure(),
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // what is inside decides
		MaxIdleConnsPerHost: 16, IdleConnTimeout: keep, TLSHandshakeTimeout: connecting,
		MaxResponseHeaderBytes: 4 * maxHeader, ExpectContinueTimeout: time.Second,
	}
}

// rewrite makes the request that goes out: the same, but for what is only
// between two neighbours, and for secrets.
func (g *Gateway) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Host, p.Out.URL.RawQuery = p.In.Host, p.In.URL.RawQuery
	p.Out.URL.Scheme = "http"
	if p.In.TLS != nil {
		p.Out.URL.Scheme = "https"
	}
	if desk := g.deskOf(p.In); desk != nil {
		p.Out.URL.Host, p.Out.URL.Scheme = net.JoinHostPort(desk.Host, strconv.Itoa(desk.Port)), map[bool]string{true: "http", false: "https"}[desk.Plain]
		if p.Out.Host = p.Out.URL.Host; desk.Port == 443 {
			p.Out.Host = desk.Host
		}
	}
	for _, name := range []string{"Proxy-Authorization", "Proxy-Connection"} {
		p.Out.Header.Del(name)
	}
	if err := inject(g.secretsOf(p.Out), p.Out); err != nil {
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
	d, grant, detail := g.decide(i, r)
	if d.Effect == nacre.Allow {
		if why := g.meters.of(grant).admit(r.ContentLength, time.Now()); why != "" {
			d.Effect, d.Reason = nacre.Deny, why
		}
	}
	if d.Effect != nacre.Allow {
		g.deny(w, r, d, detail)
		return
	}
	m := g.meters.of(grant)
	defer m.done()
	if err := g.used(i, detail); err != nil {
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
	if err := g.intend(r.Context(), "request", d, detail); err != nil {
		explain(w, r, http.StatusServiceUnavailable, d, err.Error())
		return
	}
	if r.Body != nil && r.Body != http.NoBody && m.limit > 0 {
		r.Body = struct {
			io.Reader
			io.Closer
		}{&counted{r.Body, m}, r.Body}
	}
	if len(g.secretsFor(i.Host)) > 0 {
		w = mute{w}
	}
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantKey, grant)))
}

// used says which secrets go out with a request, by name and fingerprint.
func (g *Gateway) used(i egress.Intent, detail map[string]string) error {
	var names []string
	for _, s := range g.secretsFor(i.Host) {
		if i.Scheme != "https" && !s.Plain {
			return fmt.Errorf("the secret %s goes out through TLS only", s.Name)
		}
		names = append(names, s.Name+" "+s.Fingerprint)
	}
	if names != nil {
		detail["secrets"] = strings.Join(names, ", ")
	}
	return nil
}

// decide asks about a request as it is, then as what it means to git.
func (g *Gateway) decide(i egress.Intent, r *http.Request) (nacre.Decision, nacre.NetworkGrant, map[string]string) {
	detail := map[string]string{}
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

// intentOf is what a request wants. Its connection, and nothing in it, says
// where it goes.
func intentOf(r *http.Request) (egress.Intent, error) {
	v, ok := r.Context().Value(visitorKey).(*visitor)
	if !ok {
		return egress.Intent{}, errors.New("a request without a connection")
	}
	i := egress.Intent{Scheme: "http", Host: v.to.host, Port: v.to.port, Method: r.Method, Path: r.URL.EscapedPath(), Upgrade: upgrade(r)}
	if r.TLS != nil {
		i.Scheme = "https"
	}
	if i.Path == "" {
		i.Path = "/"
	}
	switch {
	case r.Method == manifest.Fetch || r.Method == manifest.Push:
		return i, errors.New("there is no such method in HTTP")
	case r.Method == http.MethodConnect:
		return i, errors.New("the gateway is no proxy: programs connect to hosts themselves")
	case r.ProtoMajor == 1 && r.RequestURI != "*" && !strings.HasPrefix(r.RequestURI, "/"):
		return i, errors.New("the gateway is no proxy: a request names a path, not an address")
	case !sameHost(r.Host, i):
		return i, fmt.Errorf("the request is for %.200q and its connection is to %s", r.Host, i.Host)
	}
	return i, nil
}

// sameHost tells whether a request's host is where its connection goes.
func sameHost(host string, i egress.Intent) bool {
	port := map[string]int{"http": 80, "https": 443}[i.Scheme]
	if bare, number, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || strconv.Itoa(int(n)) != number {
			return false
		}
		host, port = bare, int(n)
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	name, ok := egress.Name(host)
	return ok && name == i.Host && port == i.Port
}

// upgrade is the protocol that a request asks to change to.
func upgrade(r *http.Request) string {
	if r.ProtoMajor == 2 && r.Header.Get(":protocol") != "" {
		return strings.ToLower(r.Header.Get(":protocol"))
	}
	return strings.ToLower(r.Header.Get("Upgrade"))
}

// deny records and explains.
func (g *Gateway) deny(w http.ResponseWriter, r *http.Request, d nacre.Decision, detail map[string]string) {
	_ = g.intend(r.Context(), "request", d, detail)
	code := http.StatusForbidden
	if r.Header.Get("Upgrade") != "" {
		code = http.StatusUpgradeRequired // a client that can do without, then does
		w.Header().Set("Upgrade", "HTTP/1.1")
		w.Header().Set("Connection", "close")
	}
	explain(w, r, code, d, d.Reason)
}

// explain answers with one plain sentence.
func explain(w http.ResponseWriter, r *http.Request, code int, d nacre.Decision, why string) {
	kind, what := "denied_by_sandbox", "Nacre, the sandbox that you run in, does not let this out: "
	if code == http.StatusBadGateway {
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
	explain(w, r, code, d, err.Error())
}

// admit counts a request in, or says which limit of its grant forbids it.
func (m *meter) admit(length int64, now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.minute) >= time.Minute {
		m.minute, m.requests = now, 0
	}
	switch {
	case m.rate > 0 && m.requests >= m.rate:
		return fmt.Sprintf("the grant allows %d requests in a minute", m.rate)
	case m.most > 0 && m.current >= m.most:
		return fmt.Sprintf("the grant allows %d connections at once", m.most)
	case m.limit > 0 && length > m.limit-m.bytes:
		return fmt.Sprintf("the grant allows %d more bytes, and the request has %d", m.limit-m.bytes, length)
	}
	m.requests++
	m.current++
	return ""
}

// done counts it out.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current--
}
