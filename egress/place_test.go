package egress_test

import (
	"strings"
	"testing"

	"nacre/egress"
)

func TestWild(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{{"a", "a", true}, {"a", "ab", false}, {"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a*", "a", true}, {"a*", "ba", false},
		{"*a", "ba", true}, {"*a", "ab", false}, {"a*b*c", "a1b2c", true}, {"a*b*c", "acb", false}, {"a*a", "a", false}, {"*a*", "bab", true}, {"**", "x", true}, {"a*b", "ab", true}} {
		if got := egress.Wild(c.pattern, c.s); got != c.want {
			t.Errorf("Wild(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

func TestCoversPath(t *testing.T) {
	for _, c := range []struct {
		rule, asked string
		want        bool
	}{
		{"/**", "/", true}, {"/**", "/a/b", true}, {"/**", "/**", true}, {"/a/**", "/a/", true}, {"/a/**", "/a", false}, {"/a/**", "/ab", false},
		{"/a/*", "/a/b", true}, {"/a/*", "/a/", false}, {"/a/*", "/a/b/c", false}, {"/a/*", "/a/**", false}, {"/a/*", "/a/*", true}, {"/a/b", "/a/*", false},
		{"/a/*/c", "/a/b/c", true}, {"/a", "/A", false}, {"/a", "/a/", false}, {"/a/", "/a", false}, {"/a/*/**", "/a/**", false},
	} {
		if got := egress.CoversPath(c.rule, c.asked); got != c.want {
			t.Errorf("CoversPath(%q, %q) = %v", c.rule, c.asked, got)
		}
	}
}

// TestPlaces: what is a place, in its one spelling.
func TestPlaces(t *testing.T) {
	for text, want := range map[string]egress.Place{
		"api.example.com":             {Host: "api.example.com"},
		"api.example.com:8443":        {Host: "api.example.com", Port: 8443},
		"*.example.com/v1/**":         {Host: "*.example.com", Path: "/v1/**"},
		"api.example.com:443/v1/*/x":  {Host: "api.example.com", Port: 443, Path: "/v1/*/x"},
		"127.0.0.1:80":                {Host: "127.0.0.1", Port: 80},
		"fd00::1":                     {Host: "fd00::1"},
		"fd00::1/v1/**":               {Host: "fd00::1", Path: "/v1/**"},
		"[fd00::1]:8443/v1/**":        {Host: "fd00::1", Port: 8443, Path: "/v1/**"},
		"fd00::1:8443":                {Host: "fd00::1:8443"}, // an address by itself
		"api.example.com/":            {Host: "api.example.com", Path: "/"},
		"api.example.com:65535/**":    {Host: "api.example.com", Port: 65535, Path: "/**"},
		"api.example.com/git/a.git/*": {Host: "api.example.com", Path: "/git/a.git/*"},
	} {
		if got, ok := egress.ParsePlace(text); !ok || got != want || got.String() != text {
			t.Errorf("%s: %+v (%s), %v", text, got, got, ok)
		}
	}
	for _, text := range []string{"", "/v1", ":443", ":443/v1", "a.b:", "a.b:0", "a.b:65536", "a.b:0443", "a.b:+1", "a.b:44 3", "a.b:x", "a.b:1:2", "[a.b]:443",
		"[::1]", "[::1]/x", "::g:1", "[::1:443", "[127.0.0.1]:80", "a.b]:80", "[a.b:80", "[::0001]:80", "a.b//", "a.b/v1/../x", "a.b/v1/**/x", "a.b/v*", "a.b/v1?x", "a.b/v1#x", "a.b/v1;x", `a.b/v1\x`, "a.b/%2e%2e", "a.b/v1//x"} {
		if got, ok := egress.ParsePlace(text); ok {
			t.Errorf("%s is %+v", text, got)
		}
	}
}

// TestCoversPlace: a policy's place allows itself and what is narrower.
func TestCoversPlace(t *testing.T) {
	for _, c := range []struct {
		rule, asked string
		want        bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.b:8443", true}, {"a.b", "a.b/v1/*", true}, {"a.b", "c.b", false}, {"*.a.b", "x.a.b:443/v1", true}, {"*.a.b", "a.b", false},
		{"a.b:443", "a.b", false}, {"a.b:443", "a.b:443", true}, {"a.b:443", "a.b:444", false}, {"a.b:443", "a.b:443/x", true},
		{"a.b/v1/**", "a.b", false}, {"a.b/v1/**", "a.b/v1/**", true}, {"a.b/v1/**", "a.b/v1/x", true}, {"a.b/v1/**", "a.b/v2/x", false}, {"a.b/v1/**", "a.b/**", false},
		{"a.b/v1/*", "a.b/v1/**", false}, {"a.b/v1/*", "a.b:443/v1/*", true}, {"a.b/**", "a.b", true}, {"a.b", "a.b/**", true}, {"a.b:443/v1/*", "a.b/v1/*", false},
		{"x.a.b", "*.a.b", false}, {"", "", false}, {"a.b", "a.b:0", false}, {"a.b:0", "a.b", false},
	} {
		if got := egress.CoversPlace(c.rule, c.asked); got != c.want {
			t.Errorf("%s covers %s: %v", c.rule, c.asked, got)
		}
	}
}

// TestHolds: what can be read in two ways lies in no part of a host.
func TestHolds(t *testing.T) {
	const all, some = "a.b", "a.b:8443/v1/**"
	for path, want := range map[string]bool{
		"/v1/": true, "/v1/x/y": true, "/v1/%20x": true, "/v1": false, "/v2/x": false, "/V1/x": false, "/": false, "": false, "v1/x": false,
		"/v1/../v2": false, "/v1/%2e%2e/v2": false, "/v1/%2E./v2": false, "/v1//x": false, "//v1/x": false, "/v1/x;p": false, "/v1;p/x": false, "/v1/a%2fb": false,
		"/v1%2fx": false, `/v1/..\x`: false, "/v1/%5cx": false, "/v1/%41": false, "/%76%31/x": false, "/v1/%00": false, "/v1/%zz": false, "/v1/./x": false, "/v1/x?y": false, "/v1/\u00e9": false,
	} {
		for _, port := range []int{8443, 443} {
			for _, text := range []string{all, some} {
				p, _ := egress.ParsePlace(text)
				i := egress.Intent{Scheme: "https", Host: "a.b", Port: port, Method: "GET", Path: path}
				if got := p.Holds(i); got != (text == all || want && port == 8443) {
					t.Errorf("%s holds %s: %v", text, i, got)
				}
				i.Host = "b.b"
				if p.Holds(i) {
					t.Errorf("%s holds %s", text, i)
				}
			}
		}
	}
	if (egress.Place{}).Holds(egress.Intent{Host: "a.b"}) {
		t.Error("no place holds something")
	}
}

// FuzzPlace: a place is written as it is read; what it covers holds nothing that it
// does not hold itself.
func FuzzPlace(f *testing.F) {
	f.Add("api.example.com:443/v1/**", "api.example.com:443/v1/x/*", "/v1/x/y")
	f.Add("*.a.b", "x.a.b/**", "/v1/%2e%2e/x")
	f.Add("[fd00::1]:80/x", "fd00::1/x", "/x;y")
	f.Fuzz(func(t *testing.T, rule, asked, path string) {
		r, ok := egress.ParsePlace(rule)
		a, ok2 := egress.ParsePlace(asked)
		if ok && r.String() != rule || ok2 && a.String() != asked {
			t.Fatalf("%q is written %q, %q is written %q", rule, r, asked, a)
		}
		if !ok || !ok2 || !egress.CoversPlace(rule, asked) {
			return
		}
		for _, host := range []string{a.Host, "x" + strings.TrimPrefix(a.Host, "*")} {
			i := egress.Intent{Host: host, Port: max(a.Port, 1), Path: path}
			if a.Holds(i) && !r.Holds(i) {
				t.Errorf("%q covers %q, which holds %s", rule, asked, i)
			}
		}
	})
}
