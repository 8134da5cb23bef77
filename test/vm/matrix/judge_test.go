package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"nacre/attack"
	"nacre/attack/wire"
	"nacre/test/vm/machine"
)

// judge checks what one user's steps gave, and logs a row of the table in
// docs/KERNELS.md.
func judge(t *testing.T, name, user string, s stock, results map[string]machine.StepResult) {
	t.Helper()
	if r := results[key("id", user)]; r.Exit != 0 || r.Output != "1000\n" {
		t.Errorf("%s: nacre run -- id: exit %d, %q", user, r.Exit, r.Output)
	}
	if r := results[key("nacre doctor", user)]; (r.Exit == 0) != (s.accept == "") {
		t.Errorf("%s: doctor ended with %d, while the tiers to accept are %q:\n%s", user, r.Exit, s.accept, r.Output)
	}
	var sum tally
	for _, e := range tested {
		r, ran := results[key(e.pkg, user)]
		if !ran {
			continue
		}
		sum.count(r.Output)
		if r.Exit != 0 {
			t.Errorf("%s as %s: exit %d\n%s", e.pkg, user, r.Exit, failures(r.Output))
		}
	}
	if sum.passed == 0 {
		t.Errorf("%s: no test has run", user)
	}
	sum.attacked(t, user, s, results[key("attack", user)])
	t.Logf("| %s | %s | %s | %s | %s |", name, user, or(s.accept, "none"), sum, strings.Join(sum.left, ", "))
	t.Logf("skipped: %s", strings.Join(sum.why, "; "))
}

// tally counts tests and their parts, and probes.
type tally struct {
	passed, failed, skipped int
	contained, probes       int
	why, left               []string // of what was skipped and what was not contained
}

func (c *tally) count(output string) {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "--- PASS"):
			c.passed++
		case strings.HasPrefix(line, "--- FAIL"):
			c.failed++
		case strings.HasPrefix(line, "--- SKIP"):
			c.skipped++
		}
		if _, reason, ok := strings.Cut(line, ": needs "); ok && !slices.Contains(c.why, reason) {
			c.why = append(c.why, reason)
		}
	}
}

func (c tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped; %d of %d probes contained", c.passed, c.failed, c.skipped, c.contained, c.probes)
}

// failures are the lines of a test's output that tell what went wrong.
func failures(output string) string {
	var keep []string
	for line := range strings.Lines(output) {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "=== ") && !strings.HasPrefix(trimmed, "--- PASS") &&
			!strings.HasPrefix(trimmed, "--- SKIP") {
			keep = append(keep, line)
		}
	}
	text := strings.Join(keep, "")
	return text[max(0, len(text)-6000):]
}

// attacked judges a scoreboard: nothing escapes, nothing is left without a
// verdict, and what remains is admitted in docs/THREATS.md or, where only some
// kernels show it, in docs/KERNELS.md.
func (c *tally) attacked(t *testing.T, user string, s stock, r machine.StepResult) {
	t.Helper()
	var report attack.Report
	if err := json.Unmarshal([]byte(r.Output), &report); err != nil {
		t.Errorf("%s: no scoreboard: exit %d, %v\n%.2000s", user, r.Exit, err, r.Output)
		return
	}
	admitted := ""
	for _, name := range []string{"THREATS.md", "KERNELS.md"} {
		text, err := os.ReadFile("../../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		admitted += string(text)
	}
	for _, e := range report.Entries {
		known := strings.Contains(admitted, "`"+e.ID+"`")
		switch {
		case e.Verdict == wire.Contained:
			continue
		case e.Verdict == wire.Escaped, e.Verdict == wire.Error, e.Verdict == wire.Info && !known:
			t.Errorf("%s: %s: %s: %s", user, e.ID, e.Verdict, e.Evidence)
		}
		c.left = append(c.left, fmt.Sprintf("%s %s", e.Verdict, e.ID))
	}
	for _, l := range report.Leftovers {
		t.Errorf("%s: left behind: %s", user, l)
	}
	least := 120
	if s.once {
		least = 100
	}
	c.contained, c.probes = report.Count(wire.Contained), len(report.Entries)
	if c.contained < least {
		t.Errorf("%s: only %d probes were contained: the attack did not take place", user, c.contained)
	}
	slices.Sort(c.left)
}
