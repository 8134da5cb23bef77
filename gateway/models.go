package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"nacre"
	"nacre/gateway/model"
	"nacre/gateway/wire"
	"nacre/manifest"
)

// desk is one grant of models: where requests go, and what they may use.
type desk struct {
	wire.Model
	budget *model.Budget
}

func newDesks(models []wire.Model) map[string]*desk {
	desks := map[string]*desk{}
	for _, m := range models {
		desks[m.Inside] = &desk{m, &model.Budget{Requests: m.Requests, Tokens: m.Tokens, Bounded: m.Requests+m.Tokens > 0}}
	}
	return desks
}

// deskOf is where a request for a model arrives; nil: it is for something else.
func (g *Gateway) deskOf(r *http.Request) *desk {
	if v, ok := r.Context().Value(visitorKey).(*visitor); ok {
		return g.desks[v.to.host]
	}
	return nil
}

// bill is what one request has reserved.
type bill struct {
	desk     *desk
	reserved int64
	path     string
	once     sync.Once
	tell     func(model.Usage, int64)
}

// settle charges what was used, once.
func (b *bill) settle(u model.Usage, charge int64) {
	b.once.Do(func() { b.tell(u, b.desk.budget.Settle(b.reserved, charge)) })
}

// longest is how many tokens an answer may have for which nobody asked for a
// bound.
const longest = 32 << 10

// order reads a request for a model, says what it is for, and reserves what it
// may use. Its body becomes what was understood, written anew.
func (d *desk) order(r *http.Request, detail map[string]string) (*bill, error) {
	path := r.URL.EscapedPath()
	b := &bill{desk: d, path: path, tell: func(model.Usage, int64) {}}
	if r.Method != http.MethodPost {
		return b, d.budget.Reserve(0)
	}
	if encoded(r.Header) != "" {
		return nil, errors.New("the request is compressed, and cannot be read")
	}
	asked, err := model.Read(r.Body)
	if err != nil {
		return nil, err
	}
	detail["model"] = asked.Model
	if !slices.ContainsFunc(d.Models, func(pattern string) bool { return manifest.Wild(pattern, asked.Model) }) {
		return nil, fmt.Errorf("the model %.100q is not among %s", asked.Model, strings.Join(d.Models, ", "))
	}
	counting := strings.HasSuffix(path, "/count_tokens")
	if !counting {
		input := model.Estimate(int(max(r.ContentLength, 0)))
		most := d.budget.Left(longest + input)
		body, err := asked.Bound(d.API, path, max(1, most-input))
		if err != nil {
			return nil, err
		}
		b.reserved = model.Estimate(len(body)) + asked.Most
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	} else {
		body, err := asked.Bound("", path, 0)
		if err != nil {
			return nil, err
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	r.Header.Set("Accept-Encoding", "identity")
	detail["reserved"] = strconv.FormatInt(b.reserved, 10)
	return b, d.budget.Reserve(b.reserved)
}

// serveModel records a request for a model and passes it on.
func (g *Gateway) serveModel(desk *desk, proxy http.Handler, w http.ResponseWriter, r *http.Request, d nacre.Decision, grant nacre.NetworkGrant, detail map[string]string) {
	b, err := desk.order(r, detail)
	if err != nil {
		d.Effect, d.Reason = nacre.Deny, err.Error()
		g.deny(w, r, d, detail)
		return
	}
	b.tell = func(u model.Usage, spent int64) { g.usage(d, b, u, spent) }
	if err := g.intend(r.Context(), "request", d, detail); err != nil {
		b.settle(model.Usage{}, 0)
		explain(w, r, http.StatusServiceUnavailable, d, err.Error())
		return
	}
	ctx := context.WithValue(context.WithValue(r.Context(), grantKey, grant), billKey, b)
	proxy.ServeHTTP(mute{w}, r.WithContext(ctx))
	b.settle(model.Usage{}, b.reserved) // the program left, or the reply never came whole
}

// usage records what a request used.
func (g *Gateway) usage(d nacre.Decision, b *bill, u model.Usage, spent int64) {
	if b.reserved == 0 {
		return
	}
	_ = g.book.record(context.Background(), nacre.Event{Kind: "usage", Decision: nacre.Allow, Rule: d.Rule, Reason: "what a request for a model used", // it is used
		Detail: map[string]string{"to": d.Subject, "in": fmt.Sprint(u.In), "out": fmt.Sprint(u.Out), "spent": fmt.Sprint(spent)}})
}

// count wraps the reply to a request for a model. One that says nothing about
// what it used is charged what was reserved; one that failed, nothing.
func count(r *http.Response) {
	b, ok := r.Request.Context().Value(billKey).(*bill)
	if !ok {
		return
	}
	failed := r.StatusCode >= http.StatusBadRequest
	stream := strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream")
	r.Body = &model.Counter{From: r.Body, Stream: stream, Done: func(u model.Usage, told bool) {
		switch {
		case told:
			b.settle(u, u.Sum())
		case failed:
			b.settle(u, 0)
		default:
			b.settle(u, b.reserved)
		}
	}}
}
