package tools

import (
	"bytes"
	"encoding/json"
	"net/url"
	"path"
	"strings"
	"testing"

	"nacre"
	"nacre/manifest"
)

// FuzzCall: whatever arguments a program makes up, what is allowed is what the grant
// says for whoever reads them, also one that undoes escapes, or reckons less exactly.
func FuzzCall(f *testing.F) {
	for _, s := range []string{`{"path":"/work/a","size":5}`, `{"path":"/work/../etc"}`, `{"path":"/work/%2e%2e/etc"}`, `{"path":"/work/..%5c..%5cetc"}`, `{"path":"/work/%252e%252e/etc"}`,
		`{"path":"/work/a","size":1e1}`, `{"path":"/work/a","size":5.0000000000000001}`, `{"path":"/work/a","mode":true}`, `{"path":"/work/a","more":1}`, `{"path":["/work/a"]}`, `{"path":"/work/\n"}`} {
		f.Add([]byte(s))
	}
	g := Grant{}
	if read, err := Read(nacre.NamedGrant{Grant: nacre.Grant{ID: "tools.1"}, Name: "s", Detail: map[string]string{"tools": "get",
		"arguments": strings.Join([]string{"path=/work/*", "size?<=5", "mode?=fast|slow", "only"}, manifest.Separator)}}); err != nil {
		f.Fatal(err)
	} else {
		g = read
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var arguments map[string]any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if d.Decode(&arguments) != nil || Decide([]Grant{g}, Call{Server: "s", Tool: "get", Arguments: arguments}).Effect != nacre.Allow {
			return
		}
		at, _ := arguments["path"].(string)
		for range 3 { // it may be decoded twice
			if strings.ContainsAny(at, "\n\r\x00") || !strings.HasPrefix(path.Clean(strings.ReplaceAll(at, "\\", "/"))+"/", "/work/") {
				t.Fatalf("%q is allowed, and may be read as %q", b, at)
			}
			decoded, err := url.PathUnescape(at)
			if err != nil {
				break
			}
			at = decoded
		}
		for name, v := range arguments {
			n, number := v.(json.Number)
			size, _ := n.Float64()
			if good := name == "path" || name == "size" && number && size <= 5 || name == "mode" && (v == "fast" || v == "slow"); !good {
				t.Fatalf("%q is allowed with %s %v", b, name, v)
			}
		}
	})
}
