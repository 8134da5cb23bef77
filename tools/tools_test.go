package tools

import (
	"encoding/json"
	"strings"
	"testing"

	"nacre"
)

func granted(t *testing.T, detail map[string]string) Grant {
	t.Helper()
	g, err := Read(nacre.NamedGrant{Grant: nacre.Grant{ID: "tools.1"}, Name: "s", Detail: detail})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		conditions, arguments string
		want                  bool
	}{
		{"", `{}`, true}, {"", `{"a":[1]}`, true},
		{"repo=acme/site", `{"repo":"acme/site"}`, true}, {"repo=acme/site", `{"repo":"acme/site2"}`, false}, {"repo=acme/site", `{}`, false},
		{"repo=acme/site", `{"Repo":"acme/site"}`, false}, {"repo=acme/site", `{"repo":["acme/site"]}`, false}, {"repo=acme/site", `{"repo":null}`, false},
		{"repo=acme/*", `{"repo":"acme/x"}`, true}, {"repo=acme/*", `{"repo":"acme"}`, false}, {"repo=acme/*", `{"repo":"acme/../evil"}`, false},
		{"repo=acme/*", `{"repo":"acme/..\\evil"}`, false}, {"repo=acme/*", `{"repo":"acme/%2E%2e/evil"}`, false}, {"repo=acme/*", `{"repo":"acme/..%5C..%5cevil"}`, false},
		{"repo=acme/*", `{"repo":"acme/%252e%252e/evil"}`, false}, {"repo=acme/*", `{"repo":"acme/x%0aevil"}`, false}, {"repo=acme/*", `{"repo":"acme/100%"}`, true}, {"repo=acme/*", `{"repo":"acme/50% of %C3%A9"}`, true}, {"repo=acme/*", `{"repo":"acme/x\nevil"}`, false},
		{"f=*.txt", `{"f":"a.txt"}`, true}, {"f=*.txt", `{"f":".tx"}`, false}, {"f=ab*ba", `{"f":"aba"}`, false},
		{"state=open|closed", `{"state":"closed"}`, true}, {"state=open|closed", `{"state":"open|closed"}`, false}, {"state?=open", `{}`, true}, {"state?=open", `{"state":"x"}`, false},
		{"n<=50", `{"n":50}`, true}, {"n<=50", `{"n":50.5}`, false}, {"n<=50", `{"n":1e9}`, false}, {"n<=50", `{"n":"7"}`, false}, {"n<=50", `{}`, false}, {"n<=-1", `{"n":-2}`, true},
		{"n<=50", `{"n":1e999999999}`, false},
		{"draft=true", `{"draft":true}`, true}, {"draft=true", `{"draft":false}`, false}, {"n=1", `{"n":1.0}`, false},
		{"only", `{}`, true}, {"only", `{"a":1}`, false}, {"a?=*; only", `{"a":{"b":[]}}`, true}, {"a?=*; only", `{"a":1,"b":2}`, false}, {"a=x; a=*", `{"a":"y"}`, false},
	} {
		var arguments map[string]any
		d := json.NewDecoder(strings.NewReader(c.arguments))
		d.UseNumber()
		if err := d.Decode(&arguments); err != nil {
			t.Fatal(err)
		}
		g := granted(t, map[string]string{"tools": "get_*; put", "arguments": c.conditions})
		for tool, has := range map[string]bool{"get_x": true, "put": true, "put2": false, "Put": false, "": false} {
			got := Decide([]Grant{g}, Call{Server: "s", Tool: tool, Arguments: arguments})
			if (got.Effect == nacre.Allow) != (c.want && has) || got.Effect == nacre.Deny && got.Reason == "" {
				t.Errorf("%s of %s with %q: %v", c.arguments, tool, c.conditions, got)
			}
		}
		if d := Decide([]Grant{g}, Call{Server: "other", Tool: "put", Arguments: arguments}); d.Effect == nacre.Allow {
			t.Errorf("another server: %v", d)
		}
	}
	if d := Decide(nil, Call{}); d.Effect == nacre.Allow || d.Reason == "" {
		t.Errorf("nothing is granted: %v", d)
	}
	if d := Decide([]Grant{{}}, Call{}); d.Effect == nacre.Allow {
		t.Errorf("the zero grant: %v", d)
	}
	open := granted(t, map[string]string{"tools": "put"})
	bound := granted(t, map[string]string{"tools": "put", "arguments": "a=1"})
	if d := Decide([]Grant{bound, open}, Call{Server: "s", Tool: "put"}); d.Effect != nacre.Allow {
		t.Errorf("another grant allows it: %v", d)
	}
	if d := Decide([]Grant{bound}, Call{Server: "s", Tool: "put", Any: true}); d.Effect != nacre.Allow || !strings.Contains(d.Reason, "where a=1") {
		t.Errorf("asked beforehand: %v", d)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, detail := range []map[string]string{{"arguments": "a"}, {"arguments": "=x"}, {"arguments": "a<5"}, {"arguments": "a<=x"}, {"arguments": "a=*x*"}, {"pins": "a@sha256:1; a@sha256:2"}} {
		if _, err := Read(nacre.NamedGrant{Detail: detail}); err == nil {
			t.Errorf("%v was read", detail)
		}
	}
}

func TestWhere(t *testing.T) {
	for at, want := range map[string]bool{"https://mcp.example.com/mcp": true, "https://mcp.example.com": true, "https://mcp.example.com:8443/a/b": true, "https://10.0.0.1/x": true,
		"http://127.0.0.1:8000/mcp": true, "http://[::1]:8000/mcp": true,
		"": false, "http://mcp.example.com/mcp": false, "http://localhost/mcp": false, "http://10.0.0.1/": false, "ftp://a.b/": false, "https://u:p@a.example/": false,
		"https://a.example/?x": false, "https://a.example/../x": false, "https://a.example//x": false, "https://a.example/%2f": false, "https://*.example.com/": false,
		"https://a.example:0/": false, "https://a.example:099/": false, "https://A.example/": false, "https://[fe80::1%25eth0]/": false} {
		if _, err := Where(nacre.NamedGrant{Detail: map[string]string{"url": at}}); (err == nil) != want {
			t.Errorf("%q: %v", at, err)
		}
	}
}

func TestAsk(t *testing.T) {
	g := granted(t, map[string]string{"tools": "put", "arguments": "only; repo=acme/*; n?<=5; draft?=true"})
	for text, want := range map[string]bool{"s/put": true, "s/put repo=acme/x": true, "s/put repo=acme/x n=5 draft=true": true, "s/put repo=acme/x n=6": false, "s/put repo=evil": false,
		"s/put n=1": false, "s/put repo=acme/x other=1": false, "s/get": false, "t/put": false} {
		c, ok := Ask(text)
		if d := Decide([]Grant{g}, c); !ok || (d.Effect == nacre.Allow) != want {
			t.Errorf("%s: %v %v", text, ok, d)
		}
	}
	for _, text := range []string{"", "put", "/put", "s/", "s/put x"} {
		if _, ok := Ask(text); ok {
			t.Errorf("%q is a call", text)
		}
	}
}
