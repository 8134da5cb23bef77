package intent_test

import (
	"testing"

	"nacre/egress"
	"nacre/egress/intent"
)

// TestPrinted: what prints reads as it was.
func TestPrinted(t *testing.T) {
	for _, i := range []egress.Intent{{Scheme: "https", Host: "a.b", Port: 443, Method: "GET", Path: "/x/%20"}, {Scheme: "ssh", Host: "fd00::1", Port: 22, Method: "FETCH", Path: "/"},
		{Scheme: "tcp", Host: "10.0.0.7", Port: 5432}, {Scheme: "http", Host: "a.b", Port: 8080, Method: "POST", Path: "/"}} {
		if got, err := intent.Parse(i.String()); err != nil || got.String() != i.String() {
			t.Errorf("%s: %s, %v", i, got, err)
		}
	}
}

func TestParse(t *testing.T) {
	for _, s := range []string{"", "nonsense", "GET", "GET https://", "ftp://a.b/", "tcp://a.b", "https://a.b:x/", "https://a.b:0/", "https://a.b:65536/",
		"https://u:p@a.b/", "https://*.a.b/", "GET  https://a.b/", "https://[::1/"} {
		if i, err := intent.Parse(s); err == nil {
			t.Errorf("%q: %+v", s, i)
		}
	}
}
