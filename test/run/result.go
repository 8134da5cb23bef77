package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is how one package's tests went for one user.
type result struct {
	pkg, user               string
	passed, failed, skipped int
	skips                   []skip
	output                  []string // of what failed, in whole
	took                    time.Duration
}

// skip is one test that did not run, and why.
type skip struct{ test, reason string }

// event is a line of test2json.
type event struct{ Action, Test, Output string }

// run runs a test binary through the converter and counts.
func (r *result) run(cmd *exec.Cmd, converter string) {
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		r.broken(err)
		return
	}
	cmd.Stderr = cmd.Stdout
	convert := exec.Command(converter)
	convert.Stdin = pipe
	events, err := convert.StdoutPipe()
	if err != nil {
		r.broken(err)
		return
	}
	if err := cmd.Start(); err != nil {
		r.broken(err)
		return
	}
	if err := convert.Start(); err != nil {
		r.broken(err)
		return
	}
	r.read(events)
	converted := convert.Wait()
	if err := cmd.Wait(); err != nil && r.failed == 0 {
		r.broken(err)
	}
	if converted != nil {
		r.broken(converted)
	}
}

// broken is a failure that no test answers for.
func (r *result) broken(err error) {
	r.failed++
	r.output = append(r.output, err.Error()+"\n")
}

// read counts tests and keeps what the failed ones printed. What was printed
// outside of any test is shown if something failed.
func (r *result) read(events io.Reader) {
	output := map[string][]string{}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch {
		case e.Action == "output":
			output[e.Test] = append(output[e.Test], e.Output)
		case e.Test == "":
		case e.Action == "pass":
			r.passed++
		case e.Action == "skip":
			r.skipped++
			r.skips = append(r.skips, skip{e.Test, reason(output[e.Test])})
		case e.Action == "fail":
			r.failed++
			r.output = append(r.output, output[e.Test]...)
		}
	}
	if r.failed == 0 {
		for _, line := range output[""] { // a crash ends a test without an event
			if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "FAIL") {
				r.output = append(r.output, output[""]...)
				break
			}
		}
	}
	if err := lines.Err(); err != nil {
		r.broken(err)
	}
}

// said is how a test's own words begin: "    file_test.go:12: why".
var said = regexp.MustCompile(`^\S+\.go:\d+: `)

// reason is the last thing that a test said before it was skipped.
func reason(lines []string) string {
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		return said.ReplaceAllString(line, "")
	}
	return "no reason given"
}

// tally is the sum over packages and users.
type tally struct {
	mu                      sync.Mutex
	passed, failed, skipped int
	skips                   map[string][]string // reason → tests
}

// add counts a result and prints its line, with all output if it failed.
func (t *tally) add(w io.Writer, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.passed, t.failed, t.skipped = t.passed+r.passed, t.failed+r.failed, t.skipped+r.skipped
	if t.skips == nil {
		t.skips = map[string][]string{}
	}
	for _, s := range r.skips {
		why := s.reason + " (" + r.user + ")"
		t.skips[why] = append(t.skips[why], r.pkg+"."+s.test)
	}
	word := "ok  "
	if r.failed > 0 {
		word = "FAIL"
		for _, line := range r.output {
			fmt.Fprint(w, line)
		}
	}
	fmt.Fprintf(w, "%s %-10s %-34s %4d passed %3d failed %3d skipped %7.1fs\n",
		word, r.user, r.pkg, r.passed, r.failed, r.skipped, r.took.Seconds())
}

// close prints the skips by reason, and the sum as the last line.
func (t *tally) close(w io.Writer) {
	reasons := make([]string, 0, len(t.skips))
	for why := range t.skips {
		reasons = append(reasons, why)
	}
	slices.Sort(reasons)
	for _, why := range reasons {
		tests := t.skips[why]
		fmt.Fprintf(w, "\nskipped %d: %s\n", len(tests), why)
		for _, name := range tests {
			fmt.Fprintf(w, "    %s\n", name)
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}

// survivors are processes of ours that outlived the tests that started them:
// a test suite about tearing down may not leave any.
func survivors(dir string, t *tally) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(exe, dir+"/") {
			pid := filepath.Base(filepath.Dir(link))
			r := result{pkg: "after the tests", user: "everybody"}
			r.broken(fmt.Errorf("process %s still runs %s", pid, exe))
			t.add(os.Stdout, r)
		}
	}
}
