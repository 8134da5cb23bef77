package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"nacre/egress"
	"nacre/gateway/wire"
	"nacre/pattern"
)

// scope is what a signature of AWS's is for.
type scope struct{ region, service string }

// signed is an Authorization header of AWS's fourth signature: the program's own,
// of which only the scope counts.
var signed = pattern.Of(`^AWS4-HMAC-SHA256 *Credential=[\w.=@-]{1,128}/[0-9]{8}/([a-z0-9-]{1,32})/([a-z0-9-]{1,32})/aws4_request *, *SignedHeaders=[a-z0-9_.;-]+ *, *Signature=[0-9a-f]{64}$`)

// parseScope reads where a request is meant to go from the signature that its
// program made.
func parseScope(authorization []string) (scope, error) {
	if len(authorization) != 1 {
		return scope{}, errors.New("the request is not signed: the region and the service that it is for are in its signature (let the program sign with a placeholder)")
	}
	m := signed().FindStringSubmatch(authorization[0])
	if m == nil {
		return scope{}, errors.New("the request's Authorization is not AWS4-HMAC-SHA256 with Credential, SignedHeaders and Signature")
	}
	return scope{m[1], m[2]}, nil
}

// signing is all that signing a request needs but the request as it goes out.
type signing struct {
	scope
	pair    wire.Pair
	payload string // its hash, or one of the words for none
}

// newSigning looks at what a program signed, checks it against the grant, and
// hashes the body.
func newSigning(s wire.Secret, r *http.Request) (*signing, error) {
	pair, err := s.Pair()
	if err != nil {
		return nil, fmt.Errorf("the secret %s: %w", s.Name, err)
	}
	// In a query a signature is refused already (ownParameter).
	if r.Method == http.MethodPost && strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Content-Type"), ",")), "multipart/form-data") {
		return nil, errors.New("a form may hold a signature of its own, which the gateway does not look for")
	}
	to, err := parseScope(r.Header.Values("Authorization"))
	if err != nil {
		return nil, err
	}
	region, service, _ := strings.Cut(strings.TrimPrefix(s.Slot, "sigv4:"), "/")
	if !egress.Wild(region, to.region) || !egress.Wild(service, to.service) {
		return nil, fmt.Errorf("the request is signed for %s in %s, and the secret %s is for %s in %s", to.service, to.region, s.Name, service, region)
	}
	payload, err := payloadOf(r)
	if err != nil {
		return nil, err
	}
	return &signing{to, pair, payload}, nil
}

// maxSigned bounds a body that is hashed before it goes out, in bytes.
const maxSigned = 16 << 20

// payloadOf is what a signature says of the body: its hash, or that it has none. A
// body with a hash is read whole.
func payloadOf(r *http.Request) (string, error) {
	stated := r.Header.Values("X-Amz-Content-Sha256")
	if len(stated) > 1 {
		return "", errors.New("the request states two hashes of its body")
	}
	said := strings.Join(stated, "")
	switch {
	case said == "UNSIGNED-PAYLOAD" || said == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		return said, nil
	case strings.HasPrefix(said, "STREAMING-"):
		return "", fmt.Errorf("the body's pieces are signed each for itself (%.60s), which cannot be done again: let the program send it unsigned, or signed as a whole", said)
	}
	var body []byte
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxSigned+1)); err != nil {
			return "", err
		}
	}
	if len(body) > maxSigned {
		return "", fmt.Errorf("the body is to be signed, and has more than %d bytes: let the program send it unsigned, or in parts", maxSigned)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if said != "" && said != hash {
		return "", errors.New("the body is not what its hash says (X-Amz-Content-Sha256)")
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		r.Trailer = nil
	}
	return hash, nil
}

// sign signs a request as it goes out, in place of what its program signed. Of the
// headers only those count that AWS asks for: others may change on the way.
func sign(out *http.Request, now time.Time) error {
	ready := readiedOf(out)
	if ready == nil || ready.sign == nil {
		return nil
	}
	s := ready.sign
	bare := &http.Request{Method: out.Method, URL: &url.URL{Scheme: out.URL.Scheme, Host: out.URL.Host, Path: out.URL.Path, RawPath: out.URL.RawPath, RawQuery: out.URL.RawQuery},
		Host: out.Host, Header: http.Header{}}
	for name, values := range out.Header {
		if name == "Content-Type" || name == "Content-Md5" || strings.HasPrefix(name, "X-Amz-") && name != "X-Amz-Date" {
			bare.Header[name] = values
		}
	}
	for _, token := range []string{"X-Amz-Security-Token", "X-Amz-S3session-Token"} {
		bare.Header.Del(token)
		out.Header.Del(token)
	}
	with := aws.Credentials{AccessKeyID: s.pair.ID, SecretAccessKey: s.pair.Secret, SessionToken: s.pair.Session}
	err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s.service == "s3" }).
		SignHTTP(out.Context(), with, bare, s.payload, s.service, s.region, now)
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if value := bare.Header.Get(name); value != "" {
			out.Header.Set(name, value)
		}
	}
	return err
}
