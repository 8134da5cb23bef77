package launch

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/fault"
	"nacre/gateway/wire"
	"nacre/manifest"
	"nacre/vault"
)

const canary = "canary-Secret/Value+of=the&vault"

// secret lets a plan use a secret at hosts.
func (w *world) secret(name, value, slot string, hosts ...string) {
	w.plan.Secrets = append(w.plan.Secrets, nacre.NamedGrant{Grant: nacre.Grant{ID: "secrets.1"}, Name: name,
		Detail: map[string]string{"hosts": strings.Join(hosts, manifest.Separator), "slot": slot}})
	before := w.launcher.Secrets
	w.launcher.Secrets = func(names []string) (map[string]*vault.Secret, error) {
		all := map[string]*vault.Secret{}
		if before != nil {
			all, _ = before(names)
		}
		all[name] = vault.New([]byte(value))
		return all, nil
	}
}

// TestSecretSlots: each secret arrives in its place, and in no other; what the
// program put there does not.
func TestSecretSlots(t *testing.T) {
	for slot, want := range map[string]func(*http.Request) bool{
		"bearer":         func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+canary },
		"basic":          func(r *http.Request) bool { _, p, ok := r.BasicAuth(); return ok && p == canary },
		"header:X-Token": func(r *http.Request) bool { return r.Header.Get("X-Token") == canary },
		"query:key": func(r *http.Request) bool {
			return fmt.Sprint(r.URL.Query()["key"]) == "["+canary+"]" && r.URL.Query().Get("a") == "1"
		},
	} {
		t.Run(slot, func(t *testing.T) {
			w := newWorld(t)
			var seen *http.Request
			h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { seen = r })
			l, other := w.serve(t, h, "api.test"), w.serve(t, h, "other.test")
			w.grant("api.test", l, nil)
			w.grant("other.test", other, nil)
			w.secret("token", canary, slot, "api.test")
			w.run("curl", "-sS", "-H", "Authorization: Bearer of-the-agent", "-H", "X-Token: of-the-agent", "-H", "Cookie: of-the-agent",
				"https://api.test:"+port(l)+"/x?"+map[bool]string{true: "key=of-the-agent&a=1&k%65y=of-the-agent", false: "a=1"}[slot == "query:key"])
			if seen == nil || !want(seen) {
				t.Fatalf("the secret is not in its place: %+v", seen)
			}
			if text := fmt.Sprint(seen.Header, seen.URL); strings.Contains(text, "of-the-agent") {
				t.Errorf("what the agent had goes out: %s", text)
			}
			seen = nil
			has(t, w.run("curl", "-sS", "https://api.test:"+port(l)+"/x?access_token=of-the-agent"), `the parameter \"access_token\" may hold a credential`)
			if seen != nil {
				t.Errorf("it went out: %+v", seen)
			}
			seen = nil
			w.audit.forget()
			w.run("curl", "-sS", "-H", "Authorization: Bearer of-the-agent", "https://other.test:"+port(other)+"/")
			if seen == nil || strings.Contains(fmt.Sprint(seen.Header, seen.URL), "canary") {
				t.Errorf("on another host: %+v", seen)
			}
		})
	}
}

// TestSecretStaysOutside: it is in no file, variable or memory that the agent
// reaches, in no record, and a server that says it again is not heard.
func TestSecretStaysOutside(t *testing.T) {
	w := newWorld(t)
	forms := []string{canary, url.QueryEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("user:" + canary)),
		base64.URLEncoding.EncodeToString([]byte("xx" + canary)), hex.EncodeToString([]byte(canary))}
	l := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Reflected", r.Header.Get("Authorization"))
		for _, f := range forms {
			for _, piece := range []string{f[:len(f)/2], f[len(f)/2:]} {
				fmt.Fprint(rw, piece)
				rw.(http.Flusher).Flush()
			}
			fmt.Fprintln(rw)
		}
		fmt.Fprintln(rw, "the end")
	}), "api.test")
	w.grant("api.test", l, nil)
	w.secret("token", canary, "bearer", "api.test")
	out := w.run("sh", "-c", "curl -sSi https://api.test:"+port(l)+"/; env; cat /proc/*/environ /proc/*/cmdline /etc/* 2>/dev/null | tr '\\0' '\\n'")
	has(t, out, "the end", "****")
	for _, f := range append(forms, "Secret/Value", "Value+of", hex.EncodeToString([]byte("Secret/Value"))) {
		if strings.Contains(out, f) || strings.Contains(w.audit.String(), f) {
			t.Errorf("%q is inside, or in the record", f)
		}
	}
	for _, piece := range forms[2:5] { // most of an encoded form is as good as all
		if strings.Contains(out, piece[6:24]) {
			t.Errorf("a piece of %q is inside", piece)
		}
	}
	e, ok := w.audit.find("network.request", "api.test")
	if !ok || !strings.HasPrefix(e.Detail["secrets"], "token ") {
		t.Errorf("the record does not name the secret: %+v", e)
	}
}

// TestCompressedReply: what cannot be searched is not passed on.
func TestCompressedReply(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("asked for %q", r.Header.Get("Accept-Encoding"))
		}
		rw.Header().Set("Content-Encoding", "br")
		fmt.Fprint(rw, "who knows")
	}), "api.test")
	w.grant("api.test", l, nil)
	w.secret("token", canary, "bearer", "api.test")
	out := w.run("curl", "-sS", "https://api.test:"+port(l)+"/")
	has(t, out, "cannot be searched for the secret")
	if strings.Contains(out, "who knows") {
		t.Error("it was passed on")
	}
}

// TestSecretNeedsTLS: none goes out in the clear, but to this very machine.
func TestSecretNeedsTLS(t *testing.T) {
	w := newWorld(t)
	l := plain(t, echo)
	w.grant("local.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	w.secret("token", canary, "header:X-Token", "local.test")
	has(t, w.run("curl", "-sS", "http://local.test:"+port(l)+"/"), "X-Token: ****")
	p := nacre.Plan{Network: []nacre.NetworkGrant{{Host: "far.example.com", Scheme: "http"}}}
	if near(p, []egress.Place{{Host: "far.example.com"}}) || near(nacre.Plan{Network: []nacre.NetworkGrant{{Host: "10.0.0.1", As: "a.b", Scheme: "http"}}}, []egress.Place{{Host: "a.b"}}) {
		t.Error("a host elsewhere counts as near")
	}
}

// TestSecretTooShort: what could not be masked is refused before anything runs,
// wherever it was kept.
func TestSecretTooShort(t *testing.T) {
	for value, slot := range map[string]string{"7 bytes": "bearer", "somebody:7 bytes": "basic"} {
		w := newWorld(t)
		w.grant("api.test", w.serve(t, echo, "api.test"), nil)
		w.secret("token", value, slot, "api.test")
		if _, err := w.launcher.secrets(w.plan, &wire.Config{}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "too short") {
			t.Errorf("%s: %v", slot, err)
		}
	}
}

// TestSecretOfLines: a value that would be two headers is refused before
// anything runs.
func TestSecretOfLines(t *testing.T) {
	w := newWorld(t)
	w.grant("api.test", w.serve(t, echo, "api.test"), nil)
	w.secret("token", "long enough\r\nX-Evil: b", "bearer", "api.test")
	if _, err := w.launcher.secrets(w.plan, &wire.Config{}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "several lines") {
		t.Error(err)
	}
}

// TestSecretReveal: the one exception, explicit.
func TestSecretReveal(t *testing.T) {
	w := newWorld(t)
	w.grant("api.test", w.serve(t, echo, "api.test"), nil)
	w.secret("db/password", canary, "")
	w.plan.Secrets[0].Detail = map[string]string{"reveal": "true"}
	has(t, w.run("sh", "-c", `echo "$DB_PASSWORD"`), canary)
}

// TestSecretAtBlindHosts: where nothing could put it into a request, the run is
// refused.
func TestSecretAtBlindHosts(t *testing.T) {
	s := []nacre.NamedGrant{{Name: "token", Detail: map[string]string{"hosts": "a.test"}}}
	for name, n := range map[string][]nacre.NetworkGrant{
		"none":   nil,
		"opaque": {{Host: "a.test", Scheme: "https", TLS: "opaque"}},
		"tcp":    {{Host: "a.test", Scheme: "tcp"}},
		"other":  {{Host: "b.test", Scheme: "https"}},
	} {
		if err := (&Launcher{}).Supports(nacre.Plan{Loopback: true, Secrets: s, Network: n}); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecretAtItsPlace: a secret that is bound to a port and a path goes there, and
// nowhere else on the host; what cannot carry it is refused before anything runs.
func TestSecretAtItsPlace(t *testing.T) {
	w := newWorld(t)
	l, other := w.serve(t, echo, "api.test"), w.serve(t, echo, "api.test")
	w.grant("api.test", l, nil)
	w.grant("api.test", other, nil)
	w.secret("token", canary, "header:X-Token", "api.test:"+port(l)+"/v1/**")
	at, beside := "https://api.test:"+port(l), "https://api.test:"+port(other)
	out := w.run("sh", "-c", "for at in "+at+"/v1/x "+at+"/v2/x "+at+"/v1/%2e%2e/v2 "+beside+"/v1/x; do curl -sS --path-as-is -H 'Authorization: Bearer own-value' -H 'X-Token: own-value' $at; done")
	if strings.Count(out, "echo HTTP") != 4 || strings.Count(out, "X-Token: ****") != 1 || strings.Contains(out, "own-value") || !strings.Contains(strings.SplitN(out, "/v2/x", 2)[0], "X-Token: ****") {
		t.Error(out)
	}
	w.plan.Secrets = nil
	w.secret("token", canary, "bearer", "api.test:1/v1/**")
	if err := w.launcher.Supports(w.plan); err == nil || !strings.Contains(err.Error(), "api.test:1/v1/**, which is not granted") {
		t.Errorf("%v", err)
	}
}
