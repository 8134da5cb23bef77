package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"nacre/fault"
)

// registry reads one repository, anonymously.
type registry struct {
	text   string
	repo   name.Repository
	puller *remote.Puller
}

func newRegistry(ctx context.Context, ref *reference) (*registry, error) {
	puller, err := remote.NewPuller(
		remote.WithContext(ctx),
		remote.WithTransport(newTransport(ref.name.RegistryStr())),
		remote.WithRetryBackoff(remote.Backoff{Duration: 300 * time.Millisecond, Factor: 3, Steps: 3}),
		remote.WithUserAgent("nacre"))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "image %q", ref.text)
	}
	return &registry{text: ref.text, repo: ref.name.Context(), puller: puller}, nil
}

// document fetches a manifest or index.
func (r *registry) document(ctx context.Context, h v1.Hash) (io.ReadCloser, error) {
	d, err := r.puller.Get(ctx, r.repo.Digest(h.String()))
	if err != nil {
		return nil, r.explain(err, h)
	}
	return io.NopCloser(bytes.NewReader(d.Manifest)), nil
}

// blob fetches a configuration or layer.
func (r *registry) blob(ctx context.Context, h v1.Hash) (io.ReadCloser, error) {
	l, err := r.puller.Layer(ctx, r.repo.Digest(h.String()))
	if err == nil {
		var in io.ReadCloser
		if in, err = l.Compressed(); err == nil {
			return in, nil
		}
	}
	return nil, r.explain(err, h)
}

// explain turns a registry's answer into a fault.
func (r *registry) explain(err error, h v1.Hash) error {
	host := r.repo.RegistryStr()
	var own *fault.Fault
	if errors.As(err, &own) {
		return own
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusNotFound:
			return fault.New(fault.NotFound, "image %q: %s does not have %s", r.text, host, h).
				WithHint("check the name and the digest; an image may have been deleted")
		case http.StatusUnauthorized, http.StatusForbidden:
			return fault.New(fault.Denied, "image %q: %s refuses it to the public", r.text, host).
				WithHint("no credentials are used for images: save a private one with `docker save` or `skopeo copy` and use archive: or layout:")
		}
		return fault.New(fault.NotFound, "image %q: %s answered with status %d", r.text, host, answer.StatusCode).
			WithHint("try again later")
	}
	return fault.Wrap(fault.NotFound, err, "image %q: %s cannot be read", r.text, host).
		WithHint("check the name, the network and the proxy settings of this machine")
}

// secureTransport refuses plain HTTP: in redirects, token addresses and
// fallbacks alike. Only a registry on this machine's loopback may use it, and
// only such a registry may send us to the loopback.
type secureTransport struct {
	local bool // the registry is on the loopback
	next  http.RoundTripper
}

func newTransport(registry string) http.RoundTripper {
	return &secureTransport{local: isLoopback(registry), next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       5 * time.Second,
		MaxIdleConns:          4,
	}}
}

// stall is the longest wait for a registry's next byte.
const stall = time.Minute

// dial makes connections that do not wait for ever.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(ctx, network, address)
	return impatient{c}, err
}

type impatient struct{ net.Conn }

// Read implements net.Conn.
func (c impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// RoundTrip implements http.RoundTripper.
func (t *secureTransport) RoundTrip(q *http.Request) (*http.Response, error) {
	loopback := isLoopback(q.URL.Host)
	if loopback && !t.local {
		return nil, fault.New(fault.Denied, "image: the registry sends us to %q on this machine", q.URL.Host)
	}
	if q.URL.Scheme != "https" && !loopback {
		return nil, fault.New(fault.Denied, "image: %q is spoken to without TLS", q.URL.Host).
			WithHint("use a registry with TLS, or fetch the image by other means and use archive: or layout:")
	}
	return t.next.RoundTrip(q)
}

// isLoopback tells whether host (and port) is this machine's loopback by its
// notation; a name other than localhost never is.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
