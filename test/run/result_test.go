package main

import (
	"bytes"
	"strings"
	"testing"
)

const events = `{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"    a_test.go:3: broken: it is\n"}
{"Action":"fail","Test":"TestA"}
{"Action":"output","Test":"TestB","Output":"    b_test.go:4: needs a moon: none here\n"}
{"Action":"output","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Test":"TestB"}
{"Action":"output","Test":"TestC/one","Output":"    script.go:9: WORK=x\n"}
{"Action":"output","Test":"TestC/one","Output":"        > [!root] skip 'needs root'\n"}
{"Action":"skip","Test":"TestC/one"}
{"Action":"skip","Test":"TestD"}
{"Action":"pass","Test":"TestE"}
not JSON
{"Action":"fail"}
`

// TestCount: every test counts once, skips keep their reasons, and the sum is
// the last line.
func TestCount(t *testing.T) {
	r := result{pkg: "p", user: "root"}
	r.read(strings.NewReader(events))
	if r.passed != 1 || r.failed != 1 || r.skipped != 3 {
		t.Errorf("%d passed, %d failed, %d skipped", r.passed, r.failed, r.skipped)
	}
	for i, want := range []string{"needs a moon: none here", "> [!root] skip 'needs root'", "no reason given"} {
		if got := r.skips[i].reason; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
	var out bytes.Buffer
	sum := tally{}
	sum.add(&out, r)
	sum.close(&out)
	if !strings.Contains(out.String(), "broken: it is") || !strings.HasSuffix(out.String(), "\n1 passed, 1 failed, 3 skipped\n") {
		t.Errorf("printed:\n%s", out.String())
	}
}

// TestCrash: a binary that ends without an event for its test is a failure.
func TestCrash(t *testing.T) {
	r := result{pkg: "p"}
	r.read(strings.NewReader(`{"Action":"output","Output":"panic: no\n"}` + "\n"))
	if len(r.output) != 1 {
		t.Errorf("kept %q", r.output)
	}
	r.broken(errOf("exit status 2"))
	if r.failed != 1 {
		t.Error("a crash is no failure")
	}
}

type errOf string

func (e errOf) Error() string { return string(e) }
