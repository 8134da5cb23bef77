package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/gateway/model"
	"nacre/gateway/wire"
)

func newDesks(models []wire.Model) map[string]wire.Model {
	desks := map[string]wire.Model{}
	for _, m := range models {
		desks[m.Inside] = m
	}
	return desks
}

// deskOf is where a request for a model arrives; nil: it is for something else.
func (g *Gateway) deskOf(r *http.Request) *wire.Model {
	if v, ok := r.Context().Value(visitorKey).(*visitor); ok {
		if desk, ok := g.desks[v.to.host]; ok {
			return &desk
		}
	}
	return nil
}

// knownHosts are those of the providers that are known.
func knownHosts() (hosts []string) {
	known, _ := model.Providers() // it is the program's own file, which a test reads
	for _, p := range known {
		hosts = append(hosts, p.Host)
	}
	return hosts
}

// asksModel tells whether a request goes to a provider of models, by whichever name.
func (g *Gateway) asksModel(r *http.Request) bool {
	v, ok := r.Context().Value(visitorKey).(*visitor)
	return g.deskOf(r) != nil || ok && slices.Contains(g.hosts(), v.to.host)
}

// longest is how many tokens an answer may have for which nobody asked for a
// bound.
const longest = 32 << 10

// serveModel reserves what a request for a model may use, records it and passes
// it on.
func (g *Gateway) serveModel(desk *wire.Model, proxy http.Handler, w http.ResponseWriter, r *http.Request, d nacre.Decision, grant nacre.NetworkGrant, detail map[string]string) {
	b := &bill{desk: desk, till: g.till, id: g.till.number(), path: r.URL.EscapedPath(),
		event: nacre.Event{Kind: "usage", Decision: nacre.Allow, Rule: d.Rule, Reason: "what a request for a model used", Detail: map[string]string{"to": d.Subject}}}
	g.till.opened(1)
	defer g.till.opened(-1)
	if err := b.order(r, detail); err != nil {
		if b.reserved.Requests > 0 {
			b.settle(model.Usage{}, true)
		}
		d.Effect, d.Reason = nacre.Deny, err.Error()
		g.deny(w, r, d, detail)
		return
	}
	if err := g.intend(r.Context(), "request", d, detail); err != nil {
		b.settle(model.Usage{}, true)
		explain(w, r, http.StatusServiceUnavailable, d, err.Error())
		return
	}
	ctx := context.WithValue(onTrip(r.Context(), grant), billKey, b)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { b.sent.Store(true) }})
	proxy.ServeHTTP(mute{w}, r.WithContext(ctx))
	b.settle(model.Usage{}, !b.sent.Load()) // the program left, or the reply never came whole
}

// order reads a request for a model, says what it is for, and reserves what it
// may use. Its body becomes what was understood, written anew.
func (b *bill) order(r *http.Request, detail map[string]string) error {
	if r.Method != http.MethodPost {
		return b.reserve(model.Want{Requests: 1})
	}
	if encoded(r.Header) != "" {
		return errors.New("the request is compressed, and cannot be read")
	}
	asked, err := model.Read(b.desk.API, b.path, r.URL.RawQuery, r.Body)
	if err != nil {
		return err
	}
	detail["model"], b.event.Detail["model"] = asked.Model, asked.Model
	if !slices.ContainsFunc(b.desk.Models, func(pattern string) bool { return egress.Wild(pattern, asked.Model) }) {
		return fmt.Errorf("the model %.100q is not among %s", asked.Model, strings.Join(b.desk.Models, ", "))
	}
	if err := b.quote(asked); err != nil {
		return err
	}
	body, err := asked.Bound(b.desk.Bound, b.granted)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Header.Set("Accept-Encoding", "identity")
	detail["reserved"] = strconv.FormatInt(b.reserved.Tokens, 10)
	if b.priced {
		detail["cents"] = model.Cents(b.reserved.Money)
	}
	return nil
}

// quote finds what a request may cost, and reserves it.
func (b *bill) quote(asked *model.Request) error {
	if asked.Counting {
		return b.reserve(model.Want{Requests: 1})
	}
	b.input = asked.Input
	b.price, b.priced = b.desk.Prices.Of(asked.Model, b.input)
	if b.desk.Money {
		if !b.priced {
			return fmt.Errorf("nobody says what the model %.100q costs, and its budget is in money: the owner's prices.yaml has to", asked.Model)
		}
		if err := asked.Dear(); err != nil {
			return err
		}
	}
	w := model.Want{Requests: 1, Tokens: b.input, Money: b.price.Reserve(b.input), Most: asked.Most, Each: int64(b.price.Out)}
	if asked.Most == 0 {
		w.Most, w.Fewer = longest, true
	}
	return b.reserve(w)
}

// narrow takes out of a request's query what its provider is not to see.
func (g *Gateway) narrow(r *http.Request) {
	if desk := g.deskOf(r); desk != nil {
		r.URL.RawQuery = passed(r.URL.RawQuery, desk.Query)
	}
}

// passed are the parameters of a query that a provider is to see.
func passed(query string, names []string) string {
	var list []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if slices.Contains(names, name) {
			list = append(list, part)
		}
	}
	return strings.Join(list, "&")
}

// count wraps the reply to a request for a model.
func count(r *http.Response) {
	b, ok := r.Request.Context().Value(billKey).(*bill)
	if !ok {
		return
	}
	c := &model.Counter{From: r.Body, Stream: strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream"), Afford: b.afford}
	c.Ending = func(why error, events int64) []byte { return model.Ending(b.desk.API, b.path, why, events) }
	failed := r.StatusCode >= http.StatusBadRequest
	c.Done = func(u model.Usage, said bool) { b.settle(u, said || failed) } // a failure costs what it says
	if r.Body = c; c.Stream {
		r.ContentLength = -1 // it may end otherwise
		r.Header.Del("Content-Length")
	}
}
