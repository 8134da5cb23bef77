package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"nacre/gateway/wire"
)

// TestSigV4Vectors: what goes out is signed as in the examples that AWS publishes
// with its fourth signature.
func TestSigV4Vectors(t *testing.T) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	now := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for _, c := range []struct{ name, method, url, session, want string }{
		{"get-vanilla", "GET", "https://example.amazonaws.com/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-query-order-key-case", "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"post-vanilla", "POST", "https://example.amazonaws.com/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	} {
		r, err := http.NewRequest(c.method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "own", "X-Amz-Date": "own", "User-Agent": "x", "Accept-Encoding": "identity", "X-Other": "y", "X-Amz-Security-Token": "own"} {
			r.Header.Set(name, value)
		}
		to := &readied{sign: &signing{scope{"us-east-1", "service"}, wire.Pair{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Session: c.session}, empty}}
		r = r.WithContext(context.WithValue(r.Context(), readyKey{}, to))
		if err := sign(r, now); err != nil {
			t.Fatal(err)
		}
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + c.want
		if got := r.Header.Get("Authorization"); got != want || r.Header.Get("X-Amz-Date") != "20150830T123600Z" || r.Header.Get("X-Amz-Security-Token") != c.session {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestSignedBodyIsBounded: a body that has to be read whole is refused beyond a
// bound, not cut.
func TestSignedBodyIsBounded(t *testing.T) {
	for size, ok := range map[int64]bool{maxSigned: true, maxSigned + 1: false} {
		r, _ := http.NewRequest("PUT", "https://s3.test/x", io.LimitReader(zeros{}, size))
		payload, err := payloadOf(r)
		if ok != (err == nil) || ok && (len(payload) != 64 || r.ContentLength != size) {
			t.Errorf("%d: %v", size, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzSignature: whatever a program says that it signed, what is read of it is a
// region and a service that a grant is compared with, and nothing else.
func FuzzSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), "")
	f.Add("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/s3/aws4_request,SignedHeaders=host,Signature="+strings.Repeat("0", 64), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/20260101/*/s3/aws4_request, SignedHeaders=host, Signature=0", "UNSIGNED-PAYLOAD")
	f.Add("AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/s3/aws4_request", "x")
	s := wire.Secret{Name: "aws", Slot: "sigv4:eu-*/s3", Value: []byte("AKIAEXAMPLE:0123456789abcdefghij")}
	f.Fuzz(func(t *testing.T, authorization, payload string) {
		r, err := http.NewRequest("PUT", "https://s3.test/", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Authorization"], r.Header["X-Amz-Content-Sha256"] = []string{authorization}, []string{payload}
		got, err := newSigning(s, r)
		if err != nil {
			return
		}
		if got.service != "s3" || !strings.HasPrefix(got.region, "eu-") || strings.ContainsAny(got.region, "*/ \r\n,") {
			t.Errorf("%q %q: %+v", authorization, payload, got.scope)
		}
		if strings.HasPrefix(got.payload, "STREAMING-") && got.payload != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
			t.Errorf("%q passes", got.payload)
		}
	})
}
