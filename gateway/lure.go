package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"nacre"
	"nacre/gateway/wire"
)

// lure is a placeholder: worth nothing, and seen anywhere but in its place a sign
// that somebody carries off what looks like a secret.
type lure struct {
	secret wire.Secret // whose place it holds
	forms  [][]byte
}

type lures []lure

func newLures(secrets []wire.Secret) (all lures) {
	for _, s := range secrets {
		for _, text := range s.Shaped {
			all = append(all, lure{s, formsOf([]wire.Secret{{Name: s.Name, Value: []byte(text)}})})
		}
	}
	return all
}

// home tells whether a host is one that the secret goes to.
func (l lure) home(host string) bool {
	return l.secret.At(host)
}

// in tells whether a text holds a placeholder, in any of its forms.
func (l lure) in(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		return slices.ContainsFunc(l.forms, func(form []byte) bool { return strings.Contains(text, string(form)) })
	})
}

// place is where a slot is: a header or a parameter.
func place(slot string) (header, parameter string) {
	kind, name, _ := strings.Cut(slot, ":")
	switch kind {
	case "header":
		return http.CanonicalHeaderKey(name), ""
	case "query":
		return "", name
	}
	return "Authorization", ""
}

// stray is where a request's head holds a placeholder that does not belong there;
// empty: nowhere.
func (all lures) stray(host string, r *http.Request) string {
	for _, l := range all {
		header, parameter := "", ""
		if l.home(host) {
			header, parameter = place(l.secret.Slot)
		}
		if where := l.stray(r, header, parameter); where != "" {
			return where
		}
	}
	return ""
}

func (l lure) stray(r *http.Request, header, parameter string) string {
	path, err := url.PathUnescape(r.URL.EscapedPath())
	if l.in(r.URL.EscapedPath(), path, r.Method) || err != nil && len(l.forms) > 0 {
		return "path"
	}
	for part := range strings.FieldsFuncSeq(r.URL.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		plain, err := url.QueryUnescape(part)
		name, _, _ := strings.Cut(plain, "=")
		if (parameter == "" || !strings.EqualFold(name, parameter)) && (l.in(part, plain) || err != nil) {
			return "query"
		}
	}
	for name, values := range r.Header {
		if name != header && (l.in(name) || l.in(values...)) {
			return "header " + name
		}
	}
	return ""
}

// strayed is what the program is told.
func strayed(where string) string {
	return "a placeholder for a secret is in the request's " + where + ", where it does not belong: it is worth nothing anywhere, and goes nowhere"
}

// found records a placeholder out of its place.
func (g *Gateway) found(ctx context.Context, d nacre.Decision, where string, detail map[string]string) {
	finding := map[string]string{"finding": "placeholder", "where": where}
	if refs := detail["refs"]; refs != "" {
		finding["refs"] = refs
	}
	d.Effect, d.Rule, d.Reason = nacre.Deny, "placeholder", strayed(where)
	_ = g.intend(ctx, "request", d, finding) // it is denied either way
}

// errStray ends a body in which a placeholder is.
var errStray = errors.New(strayed("body"))

// away are the placeholders that have no place at a host.
func (all lures) away(host string) lures {
	return slices.DeleteFunc(slices.Clone(all), func(l lure) bool { return l.home(host) })
}

// hunt looks for placeholders in what comes in pieces.
type hunt struct {
	forms *needles
	tail  []byte // of what came before
}

func newHunt(all lures) *hunt {
	var forms [][]byte
	for _, l := range all {
		forms = append(forms, l.forms...)
	}
	return &hunt{forms: newNeedles(forms)}
}

// sees tells whether one is whole with this piece.
func (h *hunt) sees(p []byte) bool {
	if h.forms == nil {
		return false
	}
	keep := h.forms.longest - 1
	across := append(h.tail, p[:min(len(p), keep)]...)
	if h.forms.in(across) || h.forms.in(p) {
		return true
	}
	if len(p) < keep {
		p = across
	}
	h.tail = append(h.tail[:0], p[max(0, len(p)-keep):]...)
	return false
}

// hunted is what passes only as far as no placeholder is whole in it.
type hunted struct {
	io.Reader
	*hunt
}

func (h hunted) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if h.sees(p[:n]) {
		clear(p[:n])
		return 0, errStray
	}
	return n, err
}

// watched is a body in which placeholders are looked for as it goes out. Of one
// that is there, its end never leaves.
type watched struct {
	io.ReadCloser
	through hunted
	lures   lures
	r       *http.Request
	found   func()
	hit     atomic.Bool
}

// watch has a body watched for the placeholders of other hosts; nil: there is
// nothing to watch.
func (all lures) watch(host string, r *http.Request, found func()) *watched {
	others := all.away(host)
	if r.Body == nil || r.Body == http.NoBody || len(others) == 0 {
		return nil
	}
	w := &watched{ReadCloser: r.Body, through: hunted{r.Body, newHunt(others)}, lures: others, r: r, found: found}
	r.Body = w
	return w
}

// Read reads on, and stops where a placeholder is whole.
func (w *watched) Read(p []byte) (int, error) {
	if w.hit.Load() {
		return 0, errStray
	}
	n, err := w.through.Read(p)
	if err == io.EOF {
		for _, values := range w.r.Trailer {
			if slices.ContainsFunc(w.lures, func(l lure) bool { return l.in(values...) }) {
				n, err = 0, errStray
			}
		}
	}
	if err == errStray {
		w.hit.Store(true)
		w.found()
	}
	return n, err
}

// strayed tells whether a request failed since its body held a placeholder.
func (r *readied) strayed() bool { return r != nil && r.body != nil && r.body.hit.Load() }
