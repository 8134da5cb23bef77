package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"nacre/test/programs"
)

// summed is what nacre prints of a task.
type summed struct {
	Text  string `json:"text"`
	Calls int    `json:"tool_calls"`
	In    int    `json:"input_tokens"`
	Out   int    `json:"output_tokens"`
	Error string `json:"error"`
	Exit  int    `json:"exit"`
}

// ask has the agent do a task in a home that is kept, and returns what came of it.
func (r *run) ask(flags ...string) (s summed) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 4*time.Minute)
	defer cancel()
	args := append([]string{"run"}, programs.Tiers()...)
	args = append(args, "--policy", filepath.Join(r.home, "policy/policy.yaml"), "--with", r.with, "--files", ".:write", "--home", "kept", "--output", "json")
	cmd := r.nacre(ctx, append(args, flags...)...)
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if bad := json.Unmarshal(out, &s); bad != nil || err != nil {
		r.t.Errorf("%v %v: %s\n%s", err, bad, out, said.Bytes())
	}
	return s
}

// TestResult: what each agent prints of a task comes as one thing, and in a home that
// is kept its next run goes on with the same conversation.
func TestResult(t *testing.T) {
	for _, a := range agents {
		t.Run(a.name, func(t *testing.T) {
			r := prepare(t, a)
			r.model.Script.Steps = mend
			for _, flags := range [][]string{{"--", "Make the tests pass"}, {"--resume", "--", "Look at it again"}} {
				s := r.ask(flags...)
				t.Logf("%s: %+v", a.name, s)
				if calls := map[bool]int{true: 1}[len(flags) == 2]; s.Text != "It is mended." || s.Calls != calls || s.In == 0 || s.Out == 0 || s.Error != "" || s.Exit != 0 {
					t.Errorf("%q came to %+v", flags, s)
				}
			}
			went := false
			for _, q := range r.model.Requests() {
				went = went || q.Results > 0 && bytes.Contains(q.Body, []byte("Make the tests pass")) && bytes.Contains(q.Body, []byte("Look at it again"))
			}
			if !went {
				t.Error("it did not go on with the conversation")
			}
			r.stayedInside()
		})
	}
}
