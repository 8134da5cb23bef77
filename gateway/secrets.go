package gateway

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"nacre/egress"
	"nacre/gateway/wire"
)

// secretsAt are those that are bound to a host, or to a part of it: no credential
// that is not the owner's goes there.
func (g *Gateway) secretsAt(host string) []wire.Secret {
	return slices.DeleteFunc(g.boundTo(host), isKey)
}

// secretsFor are those that go out with a request: whatever else it means to a
// server, it must be for the place that they are bound to.
func (g *Gateway) secretsFor(i egress.Intent, r *http.Request) []wire.Secret {
	all := append(meanings(i, r), i)
	return slices.DeleteFunc(g.secretsAt(i.Host), func(s wire.Secret) bool {
		return slices.ContainsFunc(all, func(i egress.Intent) bool { return !s.For(i) })
	})
}

// keysFor are those to log in with at a host, by SSH, for what is to be done there.
func (g *Gateway) keysFor(i egress.Intent) []wire.Secret {
	return slices.DeleteFunc(g.boundTo(i.Host), func(s wire.Secret) bool { return !isKey(s) || !s.For(i) })
}

func isKey(s wire.Secret) bool {
	kind, _, _ := strings.Cut(s.Slot, ":")
	return kind == "ssh"
}

// boundTo are those that are bound to a host, or to a part of it.
func (g *Gateway) boundTo(host string) (list []wire.Secret) {
	for _, s := range g.now.Load().secrets {
		if s.At(host) {
			list = append(list, s)
		}
	}
	return list
}

// inject puts secrets into a request that is about to go out, and takes out what else
// may be a credential: here are those that are bound to its host, whether or not they
// go out with this request.
func inject(here, secrets []wire.Secret, out *http.Request) error {
	if len(here) == 0 {
		return nil
	}
	for _, s := range secrets {
		if out.URL.Scheme != "https" && !s.Plain {
			return errors.New("a secret goes out through TLS only")
		}
	}
	dropOwn(out.Header)
	out.Trailer = nil
	for _, s := range here {
		header, parameter := place(s.Slot)
		out.Header.Del(header)
		if parameter != "" {
			out.URL.RawQuery = strings.Join(others(out.URL.RawQuery, parameter), "&")
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	for _, s := range secrets {
		kind, name, _ := strings.Cut(s.Slot, ":")
		switch kind {
		case "bearer":
			out.Header.Set("Authorization", "Bearer "+string(s.Value))
		case "basic":
			user, password, both := strings.Cut(string(s.Value), ":")
			if !both { // a token, as git hosts take it
				user, password = "x-access-token", string(s.Value)
			}
			out.SetBasicAuth(user, password)
		case "header":
			out.Header.Set(name, string(s.Value))
		case "query":
			out.URL.RawQuery = setQuery(out.URL.RawQuery, name, string(s.Value))
		case "sigv4": // below, when all else is as it will be
		default:
			return errors.New("a secret without a place: " + s.Slot)
		}
	}
	// What comes back must be readable, to see whether it says a secret again.
	out.Header.Set("Accept-Encoding", "identity")
	return sign(out, time.Now())
}

// setQuery replaces a parameter, however its name is spelled, and leaves the others
// as they are.
func setQuery(query, name, value string) string {
	return strings.Join(append(others(query, name), url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
}

// others are the parts of a query without a parameter. One that cannot be read goes
// too.
func others(query, name string) (parts []string) {
	for part := range parameters(query) {
		if plain, err := parameter(part); err == nil && !strings.EqualFold(plain, name) {
			parts = append(parts, part)
		}
	}
	return parts
}

// scrub takes what a reply says of the secrets out of it; nil: none went out. What
// cannot be read is not passed on.
func scrub(n *needles, r *http.Response) error {
	if n == nil {
		return nil
	}
	if coding := encoded(r.Header); coding != "" {
		return errors.New("the reply is compressed (" + coding + ") although it was not to be, and cannot be searched for the secret that was sent")
	}
	if partial(r) {
		return errors.New("the reply is a part although the whole was asked for, and cannot be searched for the secret that was sent")
	}
	n.maskAll(r.Header)
	if r.Body != nil {
		r.Body = newScrubber(r.Body, r.Trailer, n)
	}
	return nil
}

// encoded is how a body is encoded, by whichever of its headers; empty: it is not.
func encoded(h http.Header) string {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Content-Encoding"), ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			return coding
		}
	}
	return ""
}

// partial tells whether a reply is less than the whole.
func partial(r *http.Response) bool {
	return r.StatusCode == http.StatusPartialContent || r.StatusCode == http.StatusIMUsed || r.Header.Get("Content-Range") != "" ||
		strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Content-Type"), ",")), "byteranges")
}
