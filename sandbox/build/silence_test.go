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
		build := func(notify bool) seccomp.Filter {
			table, err := seccomp.NewTable(seccomp.Options{Arch: seccomp.AMD64, Groups: groups, Notify: notify})
			if err != nil {
				t.Fatal(err)
			}
			return table.Filter()
		}
		loud, quiet := build(true), build(false)
		if slices.Equal(loud, quiet) {
			t.Fatal("nothing is reported")
		}
		silence(loud)
		if !slices.Equal(loud, quiet) {
			t.Errorf("%v: differs", groups)
		}
	}
}
