package launch

import (
	"io"
	"net"
	"net/http"
	"testing"

	"nacre"
	"nacre/vault"
)

// TestUpstreamProxy: hosts outside are reached through the owner's proxy, with a
// login that never gets in; what is granted on this machine is reached directly.
func TestUpstreamProxy(t *testing.T) {
	w := newWorld(t)
	far := w.serve(t, echo, "far.example.com")
	near := w.serve(t, echo, "near.test")
	var asked []string
	l := plain(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
		asked = append(asked, r.Method+" "+r.Host)
		if r.Method != http.MethodConnect || user != "owner" || password != canary {
			rw.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		out, err := net.Dial("tcp", far.Addr().String())
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		in, _, _ := rw.(http.Hijacker).Hijack()
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(out, in) }()
		_, _ = io.Copy(in, out)
		in.Close()
	}))
	w.launcher.Proxy, w.launcher.ProxySecret = "http://"+l.Addr().String(), "proxy"
	w.launcher.Secrets = func([]string) (map[string]*vault.Secret, error) {
		return map[string]*vault.Secret{"proxy": vault.New([]byte("owner:" + canary))}, nil
	}
	w.plan.Network = append(w.plan.Network, nacre.NetworkGrant{Grant: nacre.Grant{ID: "far"}, Host: "far.example.com", Scheme: "https", Ports: []int{443}, Methods: []string{"GET"}, Paths: []string{"/**"}})
	w.grant("near.test", near, nil)
	out := w.client("get", "https://far.example.com/x", "https://near.test:"+port(near)+"/y")
	has(t, out, "200 echo HTTP/2.0 GET far.example.com /x", "200 echo HTTP/2.0 GET near.test:"+port(near)+" /y")
	if len(asked) != 1 || asked[0] != "CONNECT far.example.com:443" {
		t.Errorf("the proxy was asked %q", asked)
	}
	w2 := newWorld(t)
	w2.plan.Network, w2.launcher.Proxy = w.plan.Network, w.launcher.Proxy
	has(t, w2.client("get", "https://far.example.com/x"), "502", "the owner's proxy did not connect")
	has(t, w2.audit.String(), "the owner's proxy did not connect: 407")
}
