package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"nacre"
	"nacre/gateway/wire"
	"nacre/vault"
	"nacre/vault/store"
)

// rotating is a token endpoint as careful ones are: a refresh token holds once, and one
// that is used again ends all of them.
type rotating struct {
	mu    sync.Mutex
	next  int
	stale []string
}

func (s *rotating) holds() string { return fmt.Sprintf("canary-refresh-%d", s.next) }

func (s *rotating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if got := r.PostForm.Get("refresh_token"); got != s.holds() || len(s.stale) > 0 {
		s.stale = append(s.stale, got)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error": "invalid_grant"}`)
		return
	}
	s.next++
	fmt.Fprintf(w, `{"access_token": "canary-token-number-%d", "token_type": "Bearer", "refresh_token": %q}`, s.next, s.holds())
}

// kept is a vault with one secret.
func kept(t *testing.T, value string) *store.Vault {
	t.Helper()
	v := &store.Vault{Dir: filepath.Join(t.TempDir(), "vault")}
	if err := v.Set("login", store.Entry{Value: []byte(value)}, false); err != nil {
		t.Fatal(err)
	}
	return v
}

func valueOf(t *testing.T, v *store.Vault) (c wire.Client) {
	t.Helper()
	all, err := v.Get(context.Background(), []string{"login"}, os.Getenv)
	if err == nil {
		err = json.Unmarshal(all["login"].Reveal(), &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRotated: two sandboxes that began with the same refresh token use one after the
// other what came of it, and the vault has the last; nobody is told of any.
func TestRotated(t *testing.T) {
	const runs = 2
	v := kept(t, `{"client_id": "me", "client_secret": "canary-client", "refresh_token": "canary-refresh-0", "auth": "post"}`)
	tokens := &rotating{}
	var begun sync.WaitGroup
	begun.Add(runs)
	gate := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun.Done() // what was handed to the gateways at their start is the same
		begun.Wait()
	})
	first := newWorld(t)
	tl, g := first.serve(t, tokens, "unused.test"), plain(t, gate)
	l := first.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(rw, "authorized:", strings.HasPrefix(r.Header.Get("Authorization"), "Bearer canary-token-number-"))
	}), "api.test")
	// begin returns what waits for the end: they run at once, and begin one by one.
	begin := func(script string) (end func() string) {
		w := newWorld(t)
		w.launcher.Authorities = first.root
		w.grant("api.test", l, nil)
		w.grant("gate.test", g, func(n *nacre.NetworkGrant) { n.Scheme = "http" })
		w.oauth("", "https://127.0.0.1:"+port(tl)+"/token", "default", "api.test")
		w.launcher.Keeper = &Keeper{Dir: v.Dir, Vault: v}
		w.launcher.Secrets = func(names []string) (map[string]*vault.Secret, error) {
			return v.Get(context.Background(), names, os.Getenv)
		}
		box, said := w.start("sh", "-c", script)
		return func() string { return ended(t, w, box, said) }
	}
	ask := "curl -sS https://api.test:" + port(l) + "/"
	var ends []func() string
	for range runs {
		ends = append(ends, begin("curl -sS http://gate.test:"+port(g)+"/; "+ask))
	}
	for _, end := range ends {
		has(t, end(), "authorized: true")
	}
	if c := valueOf(t, v); c.Refresh != "canary-refresh-2" || c.ID != "me" || c.Secret != "canary-client" || c.Auth != "post" {
		t.Errorf("the vault has %+v", c)
	}
	has(t, begin(ask)(), "authorized: true")
	if c := valueOf(t, v); c.Refresh != "canary-refresh-3" || len(tokens.stale) > 0 {
		t.Errorf("the vault has %+v; used again: %q", c, tokens.stale)
	}
}

// ended waits for a sandbox that has had a token, and looks for what must be nowhere.
func ended(t *testing.T, w *world, box nacre.Sandbox, said *buffer) string {
	t.Helper()
	if _, err := box.Wait(); err != nil {
		t.Error(err)
	}
	record := fmt.Sprint(w.audit.events)
	if text := said.String() + record; strings.Contains(text, "canary") {
		t.Errorf("a secret is told: %s", text)
	}
	if _, lost := w.audit.finding("refresh-token-rotated"); lost || !strings.Contains(record, "rotated:kept") {
		t.Errorf("it is not kept: %s", record)
	}
	return said.String()
}

// TestKeeper: what is lent is one sandbox's; what the owner changed meanwhile stays; what
// is kept elsewhere, or by nobody, is not lent.
func TestKeeper(t *testing.T) {
	const before = `{"client_id": "me", "refresh_token": "one"}`
	v := kept(t, before)
	k := &Keeper{Dir: v.Dir, Vault: v}
	value, release, err := k.Lend(context.Background(), "login")
	if err != nil || string(value) != before {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := k.Lend(over, "login"); err == nil {
		t.Error("it is lent twice")
	}
	after, err := exchanged(value, "two")
	if err != nil || k.Keep("login", value, after) != nil || valueOf(t, v).Refresh != "two" {
		t.Error(err)
	}
	if err := k.Keep("login", value, after); err == nil {
		t.Error("what was changed meanwhile is overwritten")
	}
	release()
	if _, release, err := k.Lend(context.Background(), "login"); err != nil {
		t.Error(err)
	} else {
		release()
	}
	if err := v.Set("elsewhere", store.Entry{Env: "TOKEN"}, false); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*Keeper{"elsewhere": k, "nosuch": k, "login": nil} {
		if _, _, err := k.Lend(context.Background(), name); !errors.Is(err, errElsewhere) {
			t.Error(name, err)
		}
	}
	for _, bad := range []string{"", "a\nb", "a b", strings.Repeat("x", 9000)} {
		if _, err := exchanged(value, bad); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

// TestLoans: a gateway has only its plan's secrets lent, a few at once, and what it says
// of others is nothing.
func TestLoans(t *testing.T) {
	v := kept(t, `{"client_id": "me", "refresh_token": "one"}`)
	r := newRenewals(&Keeper{Dir: v.Dir, Vault: v}, []wire.Secret{{Name: "login", Slot: "oauth", Value: []byte(`{"client_id": "me", "refresh_token": "one"}`)},
		{Name: "other", Slot: "bearer", Value: []byte("x")}})
	heard := make(chan wire.Renewed, 100)
	send := func(m wire.Message) error { heard <- *m.Renewed; return nil }
	for id, name := range []string{"other", "nosuch", ""} {
		if r.lend(wire.Renew{ID: uint64(id), Secret: name}, send); (<-heard).Error == "" {
			t.Errorf("%q is lent", name)
		}
	}
	r.lend(wire.Renew{ID: 10, Secret: "login"}, send)
	if got := <-heard; !strings.Contains(string(got.Value), "one") {
		t.Error(got)
	}
	r.rotated(wire.Rotated{ID: 99, Refresh: "three"})
	r.rotated(wire.Rotated{ID: 10, Refresh: "two"})
	if got := <-heard; got.Error != "" || valueOf(t, v).Refresh != "two" {
		t.Error(got)
	}
	r.rotated(wire.Rotated{ID: 10, Refresh: "four"})
	// What is said last, before the gateway is gone, is kept too.
	r.lend(wire.Renew{ID: 11, Secret: "login"}, send)
	<-heard
	r.rotated(wire.Rotated{ID: 11, Refresh: "five"})
	r.close()
	if got := valueOf(t, v).Refresh; got != "five" {
		t.Error(got)
	}
}
