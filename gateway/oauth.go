package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"nacre"
	"nacre/gateway/model"
	"nacre/gateway/wire"
	"nacre/manifest"
	"nacre/pattern"
)

// tokens are those that were fetched with the plan's secrets. They are nowhere but
// in this process; refresh tokens go back to the vault.
type tokens struct {
	mu sync.Mutex
	by map[string]*source
}

// source fetches the tokens of one secret, one at a time.
type source struct {
	secret wire.Secret
	turn   chan struct{} // held by whoever looks at what follows, or fetches
	token  string
	got    time.Time // the time at which it came
	until  time.Time
	more   string // a refresh token that came in place of the vault's
	again  time.Time
	failed error
}

const (
	fetching   = 15 * time.Second // until a token is there
	resting    = 5 * time.Second  // after a failure
	unstated   = 10 * time.Minute // a token that says not how long it holds
	longestUse = 24 * time.Hour
	early      = time.Minute // before its end a token is fetched anew
	settled    = 30 * time.Second
	maxToken   = 64 << 10
)

// tokenError says that a token could not be had.
type tokenError struct {
	secret string
	err    error
}

func (e *tokenError) Error() string { return e.what() + e.err.Error() }

func (e *tokenError) what() string { return "no token for the secret " + e.secret + ": " }

// of is the source of a secret's tokens.
func (t *tokens) of(s wire.Secret) *source {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := s.Grant + " " + s.Name
	if t.by == nil {
		t.by = map[string]*source{}
	}
	if t.by[key] == nil {
		t.by[key] = &source{secret: s, turn: make(chan struct{}, 1)}
	}
	return t.by[key]
}

// get is a token that holds. Of many who ask at once, one fetches it and all get
// it; who fails is not asked again at once.
func (s *source) get(ctx context.Context, g *Gateway) (string, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return "", &tokenError{s.secret.Name, ctx.Err()}
	}
	defer func() { <-s.turn }()
	switch now := time.Now(); {
	case s.token != "" && now.Before(s.until):
		return s.token, nil
	case now.Before(s.again):
		return "", s.failed
	}
	s.token = ""
	if err := s.fetch(g); err != nil {
		s.failed, s.again = &tokenError{s.secret.Name, err}, time.Now().Add(resting)
		return "", s.failed
	}
	return s.token, nil
}

// refused forgets a token that a host would not take, unless it is a new one: a
// program must not be able to have tokens fetched without end.
func (s *source) refused() {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return // it is being fetched
	}
	if time.Since(s.got) > settled {
		s.until = time.Time{}
	}
}

// fetch asks for a token, once that is recorded. It does so whether or not the
// request that it is for is still there: others wait.
func (s *source) fetch(g *Gateway) error {
	ctx, cancel := context.WithTimeout(context.Background(), fetching)
	defer cancel()
	d := nacre.Decision{Capability: nacre.CapSecrets, Subject: "POST " + s.secret.Token, Effect: nacre.Allow, Rule: s.secret.Grant, Reason: "a token is fetched with the secret " + s.secret.Name}
	if err := g.intend(ctx, "token", d, map[string]string{"secrets": s.secret.Name + " " + s.secret.Fingerprint}); err != nil {
		return err
	}
	c, lent, err := s.client(ctx, g.lender)
	if err != nil {
		return err
	}
	token, err := s.ask(ctx, c, g.dialer)
	if err != nil {
		if lent != nil {
			lent.back()
		}
		d.Effect, d.Reason = nacre.Deny, "allowed, but there is no token: "+err.Error()
		_ = g.intend(ctx, "token", d, nil) // nothing goes out either way
		return err
	}
	s.keep(token, time.Now())
	s.rotated(g, d, lent, c.Refresh, token.RefreshToken)
	return nil
}

// client is who asks, with the refresh token as it is kept now where it is kept.
func (s *source) client(ctx context.Context, l *lender) (wire.Client, *loan, error) {
	c, err := s.secret.Client()
	if err != nil || c.Refresh == "" {
		return c, nil, err
	}
	lent, err := l.lend(ctx, s.secret)
	switch {
	case err == nil:
		return lent.client, lent, nil
	case !errors.Is(err, errOwn):
		return c, nil, err
	case s.more != "":
		c.Refresh = s.more
	}
	return c, nil, nil
}

// rotated has a new refresh token kept, where there is one. That is not given up with
// the request: it may be the only one that holds.
func (s *source) rotated(g *Gateway, d nacre.Decision, lent *loan, before, after string) {
	ctx, cancel := context.WithTimeout(context.Background(), fetching)
	defer cancel()
	detail, kept := map[string]string{}, errOwn
	switch {
	case after == "" || after == before:
		if lent != nil {
			lent.back()
		}
		return
	case lent != nil:
		kept = lent.keep(ctx, after)
	}
	if kept == nil {
		d.Reason, detail["rotated"] = "there is a new refresh token, and the vault has it", "kept"
	} else {
		s.more, detail["finding"] = after, "refresh-token-rotated"
		d.Reason = "there is a new refresh token, which only this run has: the vault's may hold no longer: " + kept.Error()
	}
	_ = g.intend(ctx, "token", d, detail) // it has happened
}

// close gives what is being fetched a moment to be kept.
func (t *tokens) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	late := time.After(time.Second)
	for _, s := range t.by {
		select {
		case s.turn <- struct{}{}: // and nothing is fetched any more
		case <-late:
			return
		}
	}
}

// keep keeps a token until shortly before its end.
func (s *source) keep(token *oauth2.Token, now time.Time) {
	life := unstated
	if !token.Expiry.IsZero() {
		life = min(token.Expiry.Sub(now), longestUse)
	}
	s.token, s.got, s.until = token.AccessToken, now, now.Add(life-min(early, life/10))
}

// ask makes the one request.
func (s *source) ask(ctx context.Context, c wire.Client, d *dialer) (*oauth2.Token, error) {
	at, err := url.Parse(s.secret.Token)
	if err != nil {
		return nil, err
	}
	config := clientcredentials.Config{ClientID: c.ID, ClientSecret: c.Secret, TokenURL: s.secret.Token, AuthStyle: oauth2.AuthStyleInHeader}
	if c.Auth == "post" || c.Secret == "" {
		config.AuthStyle = oauth2.AuthStyleInParams
	}
	if c.Refresh != "" {
		config.EndpointParams = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.Refresh}}
	}
	for _, scope := range s.secret.Scopes {
		if scope != manifest.DefaultScope {
			config.Scopes = append(config.Scopes, scope)
		}
	}
	token, err := config.Token(context.WithValue(onTrip(ctx, nacre.NetworkGrant{}), oauth2.HTTPClient, endpointClient(d, at)))
	var outer *url.Error // which repeats the address
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return token, err
}

// endpointClient speaks with a token endpoint, and with nobody that it points to.
func endpointClient(d *dialer, at *url.URL) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, err
		}
		return d.dial(ctx, nacre.NetworkGrant{Host: at.Hostname()}, host, int(number))
	}, TLSClientConfig: d.secure(), TLSHandshakeTimeout: fetching, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
	return &http.Client{Transport: strictly{transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// strictly passes on of a token endpoint's answer what is expected of it, and
// nothing else. The answer itself is never repeated: it may hold what was sent.
type strictly struct{ http.RoundTripper }

// RoundTrip asks and reads.
func (s strictly) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, fromBeyond(r.Context(), err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxToken+1))
	if err != nil {
		return nil, fromBeyond(r.Context(), err)
	}
	if len(b) > maxToken {
		return nil, fmt.Errorf("its answer is over %d bytes", maxToken)
	}
	if b, err = readToken(answer.StatusCode, b); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(b))}, nil
}

var (
	problem   = pattern.Of(`^[a-z_]{1,40}$`)
	printable = pattern.Of(`^[\x21-\x7e]*$`)
)

// shortestToken: a shorter one would be found in replies by accident.
const shortestToken = 16

// granted is the answer of a token endpoint (RFC 6749, 5.1).
type granted struct {
	Token   string `json:"access_token"`
	Type    string `json:"token_type"`
	Life    int64  `json:"expires_in,omitempty"`
	Refresh string `json:"refresh_token,omitempty"`
}

// readToken reads an answer strictly, and writes it anew.
func readToken(status int, b []byte) ([]byte, error) {
	fields, err := model.Object(b)
	text := func(name string) (s string) {
		if json.Unmarshal(fields[name], &s) != nil {
			return ""
		}
		return s
	}
	switch why := text("error"); {
	case (status != http.StatusOK || why != "") && problem().MatchString(why):
		return nil, fmt.Errorf("it answers %d, %s", status, why)
	case status != http.StatusOK:
		return nil, fmt.Errorf("it answers %d", status)
	case err != nil:
		return nil, errors.New("its answer is not a JSON object in which each key is there once")
	}
	to := granted{Token: text("access_token"), Type: "Bearer", Refresh: text("refresh_token")}
	if life := fields["expires_in"]; life != nil && string(life) != "null" {
		n, err := strconv.ParseUint(strings.Trim(string(life), `"`), 10, 63)
		if err != nil || n == 0 {
			return nil, errors.New("its answer has a token that does not hold for a number of seconds")
		}
		to.Life = int64(min(n, uint64(longestUse/time.Second)))
	}
	switch {
	case len(to.Token) < shortestToken || !printable().MatchString(to.Token+to.Refresh):
		return nil, errors.New("its answer has no token of at least 16 visible characters")
	case !strings.EqualFold(text("token_type"), "bearer"):
		return nil, errors.New("its answer has a token that is not a bearer's")
	}
	return json.Marshal(to)
}
