package build

import (
	"slices"
	"testing"

	"nacre/seccomp"
)

// TestSilence: without a listener the filter that is loaded is, to the last
// instruction, the one that was made to report nothing.
func TestSilence(t *testing.T) {
	for _, groups := range [][]string{nil, {"debug", "nested-sandbox"}} {
		o := seccomp.Options{Arch: seccomp.AMD64, Groups: groups, Notify: true}
		loud, err := seccomp.Build(o)
		if err != nil {
			t.Fatal(err)
		}
		o.Notify = false
		quiet, err := seccomp.Build(o)
		if err != nil || slices.Equal(loud.Program, quiet.Program) {
			t.Fatalf("%v, or nothing is reported", err)
		}
		silence(loud.Program)
		if !slices.Equal(loud.Program, quiet.Program) {
			t.Errorf("%v: differs", groups)
		}
	}
}
