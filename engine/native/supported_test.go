package native

import (
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/remedy"
)

// TestUnenforcedIsRefused: what a refusal says cannot be enforced yet is what the engine
// refuses for that reason, and nothing else.
func TestUnenforcedIsRefused(t *testing.T) {
	for c := range compile.Named(&nacre.Plan{}) {
		p := nacre.Plan{Command: []string{"x"}, Digest: "sha256:x"}
		list := compile.Named(&p)[c]
		*list = append(*list, nacre.NamedGrant{Name: "x"})
		err := (&box{engine: &Engine{}, plan: p}).supported(t.Context())
		if err == nil || strings.Contains(err.Error(), "this version cannot enforce") != (remedy.Unenforced(c) != "") {
			t.Errorf("%s: the engine says %v, a remedy %q", c, err, remedy.Unenforced(c))
		}
	}
}
