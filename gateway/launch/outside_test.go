package launch

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"

	"nacre"
	"nacre/gateway/model"
	"nacre/vault"
)

// hidden fails where what a program reads tells of a place that is not for it.
func hidden(t *testing.T, out string, places ...string) {
	t.Helper()
	for _, p := range append(places, "dial tcp", "read udp", "lookup", "->", "127.0.0.1", "[::1]") {
		if strings.Contains(out, p) {
			t.Errorf("the program reads %q:\n%s", p, out)
		}
	}
}

// TestRealHostStaysOutside: where models and tools really are, the owner's name servers
// and proxy, are told to the record alone when something fails.
func TestRealHostStaysOutside(t *testing.T) {
	const body = `{"model":"claude-x","max_tokens":10}`
	w := newWorld(t) // whose name server is nobody
	known, err := model.Providers()
	if err != nil {
		t.Fatal(err)
	}
	w.launcher.Providers = known
	w.launcher.Secrets = func([]string) (map[string]*vault.Secret, error) {
		return map[string]*vault.Secret{"anthropic": vault.New([]byte(canary))}, nil
	}
	w.plan.Models = []nacre.NamedGrant{{Grant: nacre.Grant{ID: "models.1"}, Name: "anthropic", Detail: map[string]string{"models": "*", "tokens": "100000"}}}
	dead := listen(t)
	dead.Close()
	w.tools(dead, "http", map[string]string{"tools": "get_issue"})
	w.plan.Network = append(w.plan.Network, nacre.NetworkGrant{Grant: nacre.Grant{ID: "network.1"}, Host: "far.example.com", Scheme: "http", Ports: []int{80}, Methods: []string{"GET"}, Paths: []string{"/**"}})
	call := `curl -sS -H 'Content-Type: application/json' -H 'Accept: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"ping"}' "$NACRE_TOOLS_HUB"; `
	model := `curl -sS -m 20 -d '` + body + `' "$ANTHROPIC_BASE_URL/v1/messages"; `
	out := w.run("sh", "-c", model+call+"curl -sS http://far.example.com/")
	has(t, out, "its name cannot be looked up now", "it refuses connections")
	hidden(t, out, "api.anthropic.com", port(dead))
	has(t, w.audit.String(), "api.anthropic.com", port(dead), "far.example.com")

	w = newWorld(t)
	w.launcher.Providers, w.launcher.Proxy = known, "socks5://"+dead.Addr().String()
	w.launcher.Secrets = func([]string) (map[string]*vault.Secret, error) {
		return map[string]*vault.Secret{"anthropic": vault.New([]byte(canary))}, nil
	}
	w.plan.Models = []nacre.NamedGrant{{Grant: nacre.Grant{ID: "models.1"}, Name: "anthropic", Detail: map[string]string{"models": "*", "tokens": "100000"}}}
	out = w.run("sh", "-c", model)
	has(t, out, "the owner's proxy did not connect")
	hidden(t, out, "api.anthropic.com", port(dead))
	has(t, w.audit.String(), dead.Addr().String())
}

// TestClientCertificate: a server that wants to know who is there by a certificate cannot
// be spoken to, and program and record are told that it is this; one that only asks is.
func TestClientCertificate(t *testing.T) {
	w := newWorld(t)
	serve := func(name string, how tls.ClientAuthType, most uint16, protocols ...string) net.Listener {
		own := w.certificate(t, name, w.cert.NotBefore, w.cert.NotAfter)
		l := listen(t)
		s := &http.Server{Handler: echo, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: how, MaxVersion: most, NextProtos: protocols}}
		go func() { _ = s.ServeTLS(l, "", "") }()
		t.Cleanup(func() { s.Close() })
		w.grant(name, l, nil)
		return l
	}
	demands := map[string]net.Listener{
		"old.test": serve("old.test", tls.RequireAnyClientCert, tls.VersionTLS12), "new.test": serve("new.test", tls.RequireAnyClientCert, tls.VersionTLS13),
		"plain.test": serve("plain.test", tls.RequireAnyClientCert, tls.VersionTLS13, "http/1.1"),
	}
	asks := serve("asks.test", tls.RequestClientCert, tls.VersionTLS13)
	script := "curl -sS https://asks.test:" + port(asks) + "/fine\n"
	for name, l := range demands {
		script += "curl -sS https://" + name + ":" + port(l) + "/\n" + "curl -sS --http1.1 https://" + name + ":" + port(l) + "/\n"
	}
	out := w.run("sh", "-c", script)
	const why = "it had asked for a client certificate, and the gateway has none"
	if n := strings.Count(out, "it broke off: "+why); n != 2*len(demands) {
		t.Errorf("%d of %d are told why:\n%s", n, 2*len(demands), out)
	}
	has(t, out, "GET asks.test:"+port(asks)+" /fine")
	for name, l := range demands {
		if e, ok := w.audit.find("network.connect", "https://"+name+":"+port(l)); !ok || e.Decision != nacre.Deny || !strings.Contains(e.Reason, why) {
			t.Errorf("the record of %s: %+v", name, e)
		}
	}
}
