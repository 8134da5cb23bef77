package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// placed starts a gateway whose secret goes to a place at example.com; with no port
// that is the server's.
func placed(t *testing.T, slot string, at egress.Place, change func(*nacre.NetworkGrant)) *outside {
	t.Helper()
	o := behind(t, fine, nil, change)
	s := wire.Secret{Name: "token", Value: []byte("canary-of-a/secret+value"), Slot: slot, Hosts: []egress.Place{at}}
	o.now.Store(&current{o.rules(), []wire.Secret{s}})
	return o
}

// asked is what the server heard since the last time.
func (o *outside) asked() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := strings.Join(o.said, "")
	o.said = nil
	return all
}

// sent tells whether the secret is in a request's head, however it is written there.
func sent(head string) bool { return strings.Contains(head, "canary") }

// ways are paths, and whether the secret for /v1/** goes there.
var ways = map[string]bool{
	"/v1/x": true, "/v1/": true, "/v1/x/y?z=/v2": true, "/v1/%20": true, "/v1/x.git/info/refs?service=git-upload-pack": true, "/v1/x.git/git-upload-pack": true,
	"/v2/x": false, "/": false, "/v1": false, "/V1/x": false, "/v1/../v2": false, "/v1/%2e%2e/v2": false, "/v1/%2E%2e%2fv2": false, "/v2/%2e%2e/v1/x": false, "//v1/x": false, "/v1//x": false,
	"/v1/x;y=/v2": false, "/v1;x/y": false, "/v1/a%2fb": false, "/v1%2fx": false, "/v1/%5c..%5cv2": false, "/%76%31/x": false, "/v1/%2561": false, "/v1/%00": false, "/v2/x?/v1/x": false, "/v2.git/info/refs?service=git-upload-pack": false,
}

// TestSecretPlaces: the secret goes where host, port and path are its own; at the rest
// of the host nothing of the program's goes out in its stead.
func TestSecretPlaces(t *testing.T) {
	for slot, own := range map[string]string{"bearer": "", "header:X-Plain": "", "query:plain": "plain=own-value"} {
		o := placed(t, slot, egress.Place{Host: "example.com", Path: "/v1/**"}, nil)
		for path, goes := range ways {
			target, method := path, "GET"
			if strings.HasSuffix(path, "/git-upload-pack") {
				method = "POST"
			}
			if own != "" {
				target += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + own
			}
			status, body, _ := o.get(t, method, target, "Authorization: Bearer own-value", "X-Plain: own-value", "Cookie: own-value", "Content-Length: 0")
			head := o.asked()
			if status != 200 || sent(head) != goes {
				t.Errorf("%s: %s: %d %s, sent %v: %s", slot, path, status, body, sent(head), head)
			}
			if slot == "header:X-Plain" && strings.Contains(head, "own-value") || strings.Contains(strings.ReplaceAll(head, "X-Plain: own-value", ""), "own-value") {
				t.Errorf("%s: %s: what the program had goes out: %s", slot, path, head)
			}
		}
		for _, path := range []string{"/v1/x", "/v2/x"} {
			if status, body, _ := o.get(t, "GET", path+"?access_token=own-value"); status != 403 || o.asked() != "" {
				t.Errorf("%s: %s: %d %s", slot, path, status, body)
			}
		}
	}
}

// TestSecretPlaceByHeader: a header that gives a request another path to some servers
// leads the secret nowhere.
func TestSecretPlaceByHeader(t *testing.T) {
	o := placed(t, "bearer", egress.Place{Host: "example.com", Path: "/v1/**"}, nil)
	for _, header := range []string{"X-Original-URL: /v2/x", "X-Rewrite-Url: /v1/../v2", "X_Forwarded_Path: /v2", "X-Forwarded-Uri: //v1/x", "X-Original-Uri: https://example.com/v1/x"} {
		_, _, _ = o.get(t, "GET", "/v1/x", header)
		if head := o.asked(); sent(head) {
			t.Errorf("%s: %s", header, head)
		}
	}
	_, _, _ = o.get(t, "GET", "/v1/x", "X-Original-Url: /v1/y")
	if head := o.asked(); !sent(head) {
		t.Errorf("not sent: %s", head)
	}
}

// TestSecretPorts: at another port of the host the secret is not for, whoever listens
// there, and what the request says of ports.
func TestSecretPorts(t *testing.T) {
	o := placed(t, "bearer", egress.Place{Host: "example.com", Port: 1}, nil)
	for _, host := range []string{fmt.Sprintf("example.com:%d", o.port), "example.com:1", "example.com"} {
		c := o.inside(t, "http/1.1")
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer own-value\r\nConnection: close\r\n\r\n", host)
		_, _ = io.ReadAll(c)
		c.Close()
		if head := o.asked(); sent(head) || strings.Contains(head, "own-value") || (head == "") != (host != fmt.Sprintf("example.com:%d", o.port)) {
			t.Errorf("%s: %s", host, head)
		}
	}
	o.now.Store(&current{o.rules(), []wire.Secret{{Name: "token", Value: []byte("canary-of-a/secret+value"), Slot: "bearer", Hosts: []egress.Place{{Host: "example.com", Port: o.port}}}}})
	_, _, _ = o.get(t, "GET", "/")
	if head := o.asked(); !sent(head) {
		t.Errorf("at its own port: %s", head)
	}
}

// TestSecretPlacesHTTP2: the same for :path.
func TestSecretPlacesHTTP2(t *testing.T) {
	o := placed(t, "bearer", egress.Place{Host: "example.com", Path: "/v1/**"}, nil)
	var spoken http.Protocols
	spoken.SetHTTP2(true)
	client := &http.Transport{Protocols: &spoken, DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return o.inside(t, "h2"), nil }}
	defer client.CloseIdleConnections()
	for path, goes := range ways {
		bare, query, _ := strings.Cut(path, "?")
		plain, err := url.PathUnescape(bare)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer own-value"}}, Host: fmt.Sprintf("example.com:%d", o.port),
			URL: &url.URL{Scheme: "https", Host: fmt.Sprintf("example.com:%d", o.port), Path: plain, RawPath: bare, RawQuery: query}}
		if strings.HasSuffix(bare, "/git-upload-pack") {
			r.Method = "POST"
		}
		answer, err := client.RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		answer.Body.Close()
		if head := o.asked(); answer.ProtoMajor != 2 || answer.StatusCode != 200 || sent(head) != goes || strings.Contains(head, "own-value") {
			t.Errorf("%s: %d, sent %v: %s", path, answer.StatusCode, sent(head), head)
		}
	}
}

// TestSocketPlaces: a request that changes to WebSocket takes the secret only where it
// is for.
func TestSocketPlaces(t *testing.T) {
	for path, goes := range map[string]bool{"/chat": true, "/other": false} {
		s := wire.Secret{Name: "token", Value: []byte("canary-of-a/secret+value"), Slot: "bearer", Hosts: []egress.Place{{Host: parlourHost, Path: path}}, Plain: true}
		p := newParlour(t, wire.Config{Secrets: []wire.Secret{s}}, nil, "", nil)
		p.open(t, "Authorization: Bearer own-value", "Cookie: own-value")
		if asked := p.requests(); sent(asked) != goes || strings.Contains(asked, "own-value") || !strings.Contains(asked, "/chat") {
			t.Errorf("bound to %s: %s", path, asked)
		}
	}
}
