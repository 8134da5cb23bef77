package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// readyKey is where a request keeps what was made ready for it.
type readyKey struct{}

// readied is what goes out with one request: secrets as they are sent, tokens in
// place of what they were fetched with.
type readied struct {
	secrets []wire.Secret
	sign    *signing
	tokens  []*source // of the tokens among them
	body    *watched
}

// readiedOf is what was made ready for a request; nil: nothing was.
func readiedOf(r *http.Request) *readied {
	ready, _ := r.Context().Value(readyKey{}).(*readied)
	return ready
}

// ready fetches and computes what has to be there before a request goes out. Where
// that cannot be, it answers, and returns nil.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request, d nacre.Decision, detail map[string]string) *http.Request {
	v, ok := r.Context().Value(visitorKey).(*visitor)
	if !ok {
		return nil
	}
	if where := g.lures.stray(v.to.host, r); where != "" {
		g.found(r.Context(), d, where, detail)
		explain(w, r, http.StatusForbidden, d, strayed(where))
		return nil
	}
	to := &readied{}
	i, _ := r.Context().Value(intentKey).(egress.Intent)
	for _, s := range g.secretsFor(i, r) {
		if err := g.make(r, s, to); err != nil {
			g.unready(w, r, d, detail, err)
			return nil
		}
	}
	if g.deskOf(r) == nil { // what is said to a model may quote what a program sees
		to.body = g.lures.watch(v.to.host, r, func() { g.found(context.Background(), d, "body", detail) })
	}
	return r.WithContext(context.WithValue(r.Context(), readyKey{}, to))
}

// make makes one secret ready.
func (g *Gateway) make(r *http.Request, s wire.Secret, to *readied) error {
	kind, _, _ := strings.Cut(s.Slot, ":")
	switch kind {
	case "oauth":
		from := g.tokens.of(s)
		token, err := from.get(r.Context(), g)
		if err != nil {
			return err
		}
		s.Value, s.Slot = []byte(token), "bearer"
		to.tokens = append(to.tokens, from)
	case "sigv4":
		sign, err := newSigning(s, r)
		if err != nil {
			return err
		}
		to.sign = sign
		for _, part := range []string{sign.pair.Session, sign.pair.Secret} {
			if s.Value = []byte(part); part != "" { // each is looked for in replies
				to.secrets = append(to.secrets, s)
			}
		}
		return nil
	}
	to.secrets = append(to.secrets, s)
	return nil
}

// unready answers where a secret could not be made ready: the program's fault, or
// that of whoever gives tokens.
func (g *Gateway) unready(w http.ResponseWriter, r *http.Request, d nacre.Decision, detail map[string]string, err error) {
	var failed *tokenError
	if errors.As(err, &failed) {
		explain(w, r, http.StatusBadGateway, d, failed.what()+forProgram(failed.err)) // it is recorded where it was fetched
		return
	}
	d.Effect, d.Reason = nacre.Deny, err.Error()
	g.deny(w, r, d, detail)
}

// answered looks at the status of a reply: a token that is refused is fetched anew
// with the next request.
func (g *Gateway) answered(r *http.Response) {
	if ready := readiedOf(r.Request); ready != nil && r.StatusCode == http.StatusUnauthorized {
		for _, from := range ready.tokens {
			from.refused()
		}
	}
}
