package launch

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"nacre"
)

// has fails where a text lacks something.
func has(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("lacks %q:\n%s", w, text)
		}
	}
}

// TestHTTPS walks the whole way: name, TLS inside, decision, record, TLS outside.
func TestHTTPS(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test")
	w.grant("api.test", l, nil)
	out := w.client("get", "https://api.test:"+port(l)+"/a/b?c=d")
	has(t, out, "200 echo HTTP/2.0 GET api.test:"+port(l)+" /a/b?c=d 0")
	e, ok := w.audit.find("network.request", "GET https://api.test:"+port(l)+"/a/b")
	if !ok || e.Decision != nacre.Allow || e.Rule != "network.1" || e.Sandbox == "" || strings.Contains(e.Detail["to"], "c=d") {
		t.Errorf("the record: %+v", e)
	}
}

// TestNothingElse: what is not granted gives an ordinary error at once, and the
// audit says what it was.
func TestNothingElse(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test")
	w.grant("api.test", l, nil)
	addresses := []string{"1.2.3.4:443", "1.2.3.4:22", "10.0.0.1:80", "169.254.169.254:80", "198.18.7.7:443", "[2001:db8::5]:443", "[::ffff:9.9.9.9]:25",
		"[fd6e:6163:7265::9999]:443", "api.test:1"}
	out := w.client("dial", append(addresses, "evil.test:443", "127.0.0.1:61080", "127.0.0.1:"+port(l))...)
	for _, a := range addresses {
		has(t, out, a+" reset\n")
		a = strings.NewReplacer("::ffff:9.9.9.9", "9.9.9.9", "[9.9.9.9]", "9.9.9.9").Replace(a)
		if e, ok := w.audit.find("network.connect", strings.Replace(a, "[9.9.9.9]", "9.9.9.9", 1)); !ok || e.Decision != nacre.Deny {
			t.Errorf("the audit does not name %s", a)
		}
	}
	has(t, out, "evil.test:443 no such name", "127.0.0.1:61080 reset", "127.0.0.1:"+port(l)+" refused")
	if e, ok := w.audit.find("network.name", "evil.test"); !ok || e.Decision != nacre.Deny {
		t.Errorf("the audit does not name evil.test")
	}
}

// TestNoUDP: only questions for names leave by UDP.
func TestNoUDP(t *testing.T) {
	w := newWorld(t)
	w.grant("api.test", w.serve(t, echo, "api.test"), nil)
	out := w.client("udp", "8.8.8.8:443", "[2001:db8::1]:443", "192.168.1.1:5353")
	for _, a := range []string{"8.8.8.8:443", "[2001:db8::1]:443", "192.168.1.1:5353"} {
		has(t, out, a+" not permitted")
		if _, ok := w.audit.find("network.packet", "udp://"+a); !ok {
			t.Errorf("the audit does not name %s", a)
		}
	}
}

// TestNoRecordNoRequest: what cannot be recorded is not done.
func TestNoRecordNoRequest(t *testing.T) {
	w := newWorld(t)
	reached := false
	l := w.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), "api.test")
	w.grant("api.test", l, nil)
	w.audit.fail = errors.New("the disk is full")
	out := w.client("get", "https://api.test:"+port(l)+"/")
	has(t, out, "503", "the audit cannot record it")
	if reached {
		t.Error("the request went out")
	}
}
