package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// traces are words of the seams through which a layer is named and broken.
var traces = []string{"nacrefault", "NACREFAULT", "foreignProc", "withoutScopes", "(*box).breach", "(*builder).breaches", "nothing more to loosen"}

// TestFaultsLeaveNoTrace: programs built without the tag hold none of it, and
// those built with it do, or else this test would look for the wrong words.
func TestFaultsLeaveNoTrace(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"nacre", "nacre-init"} {
		whole, broken := read(t, filepath.Join(sound, name)), read(t, filepath.Join(faulty, name))
		for _, trace := range traces {
			if bytes.Contains(whole, []byte(trace)) {
				t.Errorf("%s holds %q", name, trace)
			}
			seen[trace] = seen[trace] || bytes.Contains(broken, []byte(trace))
		}
	}
	for _, trace := range traces {
		if !seen[trace] {
			t.Errorf("no faulty program holds %q", trace)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
