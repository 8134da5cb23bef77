package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/explain"
)

// FuzzReadPlan: a plan that was saved may be anybody's. What is read has the
// digest that it says, and differs from itself in nothing.
func FuzzReadPlan(f *testing.F) {
	p := nacre.Plan{Version: 1, Name: "a", Command: []string{"x"}, Limits: nacre.Limits{CPUs: 0.5, Memory: 1 << 40}}
	p.Digest = compile.Digest(p)
	good, err := json.Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, text := range []string{"", "null", "{}", `{"limits":{"cpus":1e308}}`, `{"unknown":1}`, `{"version":1} {"version":2}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "plan.json")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := readPlan(file)
		var loose nacre.Plan
		if err != nil {
			// Past the digest there is more to break: a plan need not be true.
			if json.Unmarshal(b, &loose) == nil {
				explain.Diff(loose, nacre.Plan{})
				explain.Diff(nacre.Plan{}, loose)
			}
			return
		}
		if compile.Digest(p) != p.Digest || len(explain.Diff(p, p)) != 0 {
			t.Errorf("%q: %+v", b, explain.Diff(p, p))
		}
	})
}
