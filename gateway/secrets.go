package gateway

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"nacre/gateway/wire"
	"nacre/manifest"
)

// secretsFor are those that go out with requests to a host.
func (g *Gateway) secretsFor(host string) []wire.Secret {
	return slices.DeleteFunc(g.boundTo(host), isKey)
}

// keysFor are those to log in with at a host, by SSH.
func (g *Gateway) keysFor(host string) []wire.Secret {
	return slices.DeleteFunc(g.boundTo(host), func(s wire.Secret) bool { return !isKey(s) })
}

func isKey(s wire.Secret) bool {
	kind, _, _ := strings.Cut(s.Slot, ":")
	return kind == "ssh"
}

// boundTo are those that are bound to a host.
func (g *Gateway) boundTo(host string) (list []wire.Secret) {
	for _, s := range g.now.Load().secrets {
		for _, bound := range s.Hosts {
			if manifest.CoversHost(bound, host) {
				list = append(list, s)
				break
			}
		}
	}
	return list
}

// inject puts a host's secrets into a request that is about to go out.
func inject(secrets []wire.Secret, out *http.Request) error {
	if len(secrets) == 0 {
		return nil
	}
	for _, s := range secrets {
		if out.URL.Scheme != "https" && !s.Plain {
			return errors.New("a secret goes out through TLS only")
		}
	}
	dropOwn(out.Header)
	out.Trailer = nil
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
// as they are. A part that cannot be read goes too.
func setQuery(query, name, value string) string {
	var parts []string
	for part := range parameters(query) {
		if plain, err := parameter(part); err == nil && !strings.EqualFold(plain, name) {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
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
