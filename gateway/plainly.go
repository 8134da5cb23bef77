package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nacre"
)

// trip is on whose behalf a connection outside is made, and what came of it.
type trip struct {
	grant       nacre.NetworkGrant
	certificate atomic.Bool // the server has asked for one of ours
}

// onTrip has what is done in a context be done for a grant.
func onTrip(ctx context.Context, g nacre.NetworkGrant) context.Context {
	return context.WithValue(ctx, tripKey, &trip{grant: g})
}

func tripOf(ctx context.Context) *trip {
	t, _ := ctx.Value(tripKey).(*trip)
	return t
}

// beyond is an error of what is outside. Its words are for the record: they may hold
// addresses, name servers, the owner's proxy and the real hosts of models and tools.
type beyond struct {
	error
	certificate bool // the server had asked for one
}

func (b *beyond) Unwrap() error { return b.error }

func (b *beyond) Error() string {
	if b.certificate {
		return b.error.Error() + " (" + wantsCertificate + ")"
	}
	return b.error.Error()
}

const wantsCertificate = "it had asked for a client certificate, and the gateway has none"

// fromBeyond marks an error of what is outside, if it is one.
func fromBeyond(ctx context.Context, err error) error {
	if err == nil {
		return err
	}
	t := tripOf(ctx)
	return &beyond{err, t != nil && t.certificate.Load()}
}

// farBody is the body of a reply, whose errors are of what is outside.
type farBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b farBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != io.EOF {
		err = fromBeyond(b.ctx, err)
	}
	return n, err
}

// forProgram is an error as a program inside reads it.
func forProgram(err error) string {
	if b, ok := errors.AsType[*beyond](err); ok {
		return plainly(b)
	}
	return err.Error()
}

// Errors of the gateway's own that a program reads in these words.
var (
	errNotPublic = errors.New("its name leads to an address that is not public, which is granted only by its address")
	errProxy     = errors.New("the owner's proxy did not connect")
	errHostKey   = errors.New("its host key is not one that the owner's known_hosts has")
	errVault     = errors.New("the owner's vault does not give it now")
)

// plainly says in fixed words what went wrong outside.
func plainly(b *beyond) string {
	for _, own := range []error{errNotPublic, errProxy, errHostKey, errVault} {
		if errors.Is(b, own) {
			return own.Error()
		}
	}
	if asked, ok := errors.AsType[*net.DNSError](b.error); ok {
		return unfound(asked)
	}
	if why := distrusted(b); why != "" {
		return why
	}
	if b.certificate {
		return "it broke off: " + wantsCertificate
	}
	return cmp.Or(broken(b), "it does not answer as it should")
}

// unfound says why a name has no address.
func unfound(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return "its name is not known"
	case e.IsTimeout:
		return "no name server answers in time"
	}
	return "its name cannot be looked up now"
}

// distrusted says why a server's certificate is not taken; "" where it is not that.
func distrusted(err error) string {
	if c, ok := errors.AsType[x509.CertificateInvalidError](err); ok && c.Reason == x509.Expired {
		return "its certificate has expired or is not yet valid"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is valid for another name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is signed by an unknown authority"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	return ""
}

// broken says how a connection ended, or did not begin; "" where it is not that.
func broken(err error) string {
	late, timed := errors.AsType[net.Error](err)
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return "it refuses connections (connection refused)"
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return "it broke the connection off (connection reset)"
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return "no way leads there from this machine"
	case timed && late.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "it does not answer in time"
	case op != nil && op.Op == "remote error":
		return "it refused the TLS handshake"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ended the connection without an answer"
	case strings.Contains(err.Error(), "ssh: unable to authenticate"): // which has no type
		return "it does not take the owner's key"
	}
	return ""
}
