package gateway

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"nacre/gateway/wire"
)

// TestTokenEndpoint: what a token endpoint may answer is little, and what it says
// besides is not repeated.
func TestTokenEndpoint(t *testing.T) {
	const sent = "canary-client-secret"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // in the error; empty: a token
	}{
		"good":          {answers(200, `{"access_token":"a-token-of-some-length","token_type":"bearer","expires_in":"60","scope":"x"}`), ""},
		"reflecting":    {answers(400, `{"error":"`+sent+`","error_description":"`+sent+`"}`), "it answers 400"},
		"an error":      {answers(400, `{"error":"invalid_grant","error_description":"`+sent+`"}`), "it answers 400, invalid_grant"},
		"200 and error": {answers(200, `{"error":"invalid_grant"}`), "invalid_grant"},
		"dead inside":   {answers(503, `<html>`+sent), "it answers 503"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/"+sent, http.StatusTemporaryRedirect)
		}, "it answers 307"},
		"twice":       {answers(200, `{"access_token":"a-token-of-some-length","Access_Token":"another-token-of-length","token_type":"bearer"}`), "each key is there once"},
		"more":        {answers(200, `{"access_token":"a-token-of-some-length","token_type":"bearer"}{}`), "each key is there once"},
		"no JSON":     {answers(200, "access_token=a-token-of-some-length&token_type=bearer"), "not a JSON object"},
		"an array":    {answers(200, `["access_token"]`), "not a JSON object"},
		"deep":        {answers(200, `{"access_token":"a-token-of-some-length","token_type":"bearer","x":`+strings.Repeat("[", 30000)+`}`), "not a JSON object"},
		"header":      {answers(200, `{"access_token":"a-token-of-some\r\nX-Evil: 1","token_type":"bearer"}`), "visible characters"},
		"short":       {answers(200, `{"access_token":"short","token_type":"bearer"}`), "visible characters"},
		"another key": {answers(200, `{"access_token":"a-token-of-some-length","token_type":"mac"}`), "not a bearer's"},
		"no type":     {answers(200, `{"access_token":"a-token-of-some-length"}`), "not a bearer's"},
		"negative":    {answers(200, `{"access_token":"a-token-of-some-length","token_type":"bearer","expires_in":-1}`), "number of seconds"},
		"fraction":    {answers(200, `{"access_token":"a-token-of-some-length","token_type":"bearer","expires_in":1e9}`), "number of seconds"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 10<<20))
		}, "over 65536 bytes"},
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client is gone
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // else it answers while the client hangs up, which may hear that
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(c.answer)
			defer server.Close()
			d := newDialer(wire.Config{Authorities: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})})
			ctx := context.Background()
			if name == "slow" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			s := &source{secret: wire.Secret{Name: "login", Token: server.URL + "/token"}}
			token, err := s.ask(ctx, wire.Client{ID: "me", Secret: sent}, d)
			if c.want == "" {
				if err != nil || token.AccessToken != "a-token-of-some-length" || token.Expiry.IsZero() {
					t.Errorf("%+v %v", token, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), sent) {
				t.Errorf("%v", err)
			}
		})
	}
}

func answers(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

// TestTokenEndpointAddress: a name of an endpoint that leads into the owner's own
// network is not followed there.
func TestTokenEndpointAddress(t *testing.T) {
	d := newDialer(wire.Config{})
	s := &source{secret: wire.Secret{Name: "login", Token: "https://localhost:1/token"}}
	if _, err := s.ask(context.Background(), wire.Client{ID: "me", Secret: "x"}, d); err == nil || strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// TestTokenHolds: a token is fetched anew before its end, and one that says nothing
// of it after a while; one that is refused, unless it is new.
func TestTokenHolds(t *testing.T) {
	now := time.Now()
	for life, want := range map[time.Duration]time.Duration{0: 9 * time.Minute, time.Hour: 59 * time.Minute, 100 * time.Second: 90 * time.Second, 1000 * time.Hour: 24*time.Hour - time.Minute} {
		s := &source{turn: make(chan struct{}, 1)}
		token := &oauth2.Token{AccessToken: "x"}
		if life > 0 {
			token.Expiry = now.Add(life)
		}
		if s.keep(token, now); s.until.Sub(now) != want {
			t.Errorf("%v: held for %v", life, s.until.Sub(now))
		}
		before := s.until
		if s.refused(); s.until != before {
			t.Error("a new token is thrown away")
		}
		s.got = now.Add(-time.Minute)
		if s.refused(); !s.until.IsZero() {
			t.Error("a token that is refused is kept")
		}
	}
}

// FuzzToken: whatever an endpoint answers, what goes on is one token that makes one
// header, or nothing.
func FuzzToken(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"a-token-of-some-length","token_type":"bearer","expires_in":60}`))
	f.Add(400, []byte(`{"error":"invalid_grant"}`))
	f.Add(200, []byte(`{"access_token":"a","access_token":"b","expires_in":"-1"}`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		got, err := readToken(status, b)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("%v", err)
			}
			return
		}
		var to granted
		if json.Unmarshal(got, &to) != nil || status != 200 || len(to.Token) < shortestToken || strings.ContainsAny(to.Token, " \r\n\x00") || to.Life < 0 || to.Life > 86400 {
			t.Errorf("%d %q: %s", status, b, got)
		}
	})
}
