// Package assistant tests the built-in assistant as a program: each interface of
// language models end to end against the fake model, a crash between a call and
// its result, and the whole of it in a real sandbox, honest and hijacked.
package assistant

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nacre/assistant"
	"nacre/test/fakemodel"
	"nacre/test/programs"
)

var bin string

func TestMain(m *testing.M) {
	dir, remove, err := programs.WithAssistant()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// spoken is an interface: how the program is told of it.
type spoken struct {
	name, api string
	env       []string // {BASE} is the address of the fake model
	model     string   // that is asked for
}

var interfaces = []spoken{
	{"anthropic", fakemodel.Messages, []string{"ANTHROPIC_BASE_URL={BASE}", "ANTHROPIC_API_KEY=k"}, "claude-sonnet-4-5"},
	{"openai", fakemodel.Responses, []string{"OPENAI_BASE_URL={BASE}/v1", "OPENAI_API_KEY=k", "OPENAI_MODEL=gpt-5-mini"}, "gpt-5-mini"},
	{"openai-chat", fakemodel.Chat, []string{"OPENAI_BASE_URL={BASE}/v1", "OPENAI_API_KEY=k", "OPENAI_MODEL=local"}, "local"},
	{"gemini", fakemodel.Gemini, []string{"GOOGLE_GEMINI_BASE_URL={BASE}", "GEMINI_API_KEY=k"}, "gemini-2.5-flash"},
}

// job is one run of the program.
type job struct {
	t            *testing.T
	home, folder string
	model        *fakemodel.Server
	address      string
}

func newJob(t *testing.T, model *fakemodel.Server) *job {
	t.Helper()
	web := httptest.NewServer(model)
	t.Cleanup(web.Close)
	return &job{t, programs.Home(t), t.TempDir(), model, web.URL}
}

func (j *job) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "nacre-assistant"), args...)
	cmd.Dir, cmd.Env = j.folder, []string{"HOME=" + j.home, "PATH=" + os.Getenv("PATH")}
	for _, v := range env {
		cmd.Env = append(cmd.Env, strings.ReplaceAll(v, "{BASE}", j.address))
	}
	return cmd
}

// run runs it to its end and returns its events.
func (j *job) run(env []string, args ...string) (events []assistant.Event, errs string, err error) {
	j.t.Helper()
	var out, beside bytes.Buffer
	cmd := j.command(j.t.Context(), env, append([]string{"--json"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &beside
	err = cmd.Run()
	for line := range bytes.Lines(out.Bytes()) {
		var e assistant.Event
		if err := json.Unmarshal(line, &e); err != nil {
			j.t.Fatalf("%v in %s", err, line)
		}
		events = append(events, e)
	}
	return events, beside.String(), err
}

func (j *job) write(name, content string) {
	j.t.Helper()
	if err := os.WriteFile(filepath.Join(j.folder, name), []byte(content), 0o600); err != nil {
		j.t.Fatal(err)
	}
}

func (j *job) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(j.folder, name)) // empty where there is none
	return string(b)
}

func use(tool string, args map[string]any) fakemodel.Use {
	return fakemodel.Use{Tool: tool, Args: args}
}

// work is a task with parallel calls, an edit, and a call that fails.
var work = []fakemodel.Step{
	{Say: "I look.", Shell: "cat b.txt", Calls: []fakemodel.Use{use("read", map[string]any{"path": "a.txt"}), use("read", map[string]any{"path": "none"})}},
	{Calls: []fakemodel.Use{use("edit", map[string]any{"path": "a.txt", "old": "3", "new": "2"})}},
	{Say: "It is mended, " + "and this text is longer than one piece of a stream."},
}

// TestInterfaces: each interface: which one is meant, streaming, parallel calls
// and their results, the key, the model, what was used.
func TestInterfaces(t *testing.T) {
	for _, c := range interfaces {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, &fakemodel.Server{Key: "k", Script: fakemodel.Script{Steps: work}})
			j.write("a.txt", "1 + 1 = 3\n")
			j.write("b.txt", "bbb\n")
			args := []string{"mend it"}
			if c.name == "openai" { // an address that is not OpenAI's is taken for a local model
				args = []string{"--provider", "openai", "mend it"}
			}
			events, errs, err := j.run(c.env, args...)
			if err != nil || j.read("a.txt") != "1 + 1 = 2\n" {
				t.Fatalf("%v %s\n%+v", err, errs, events)
			}
			checkEvents(t, events)
			checkRequests(t, c, j.model.Requests())
		})
	}
}

// checkEvents: three results of the first answer, one of them a failure; text in
// pieces; what all of it cost.
func checkEvents(t *testing.T, events []assistant.Event) {
	t.Helper()
	var text string
	var pieces, failed, results int
	for _, e := range events {
		switch e.Kind {
		case assistant.Said:
			text, pieces = text+e.Text, pieces+1
		case assistant.Came:
			results++
			if e.Result.Failed {
				failed++
			}
		}
	}
	if text != work[0].Say+work[2].Say || pieces < 3 || results != 4 || failed != 1 {
		t.Errorf("%d results, %d failed, %d pieces: %q", results, failed, pieces, text)
	}
	if last := events[len(events)-1]; last.Kind != assistant.Done || last.Used.In == 0 || last.Used.Out == 0 {
		t.Errorf("it ends with %+v", last)
	}
}

// checkRequests: three requests, each with what came before.
func checkRequests(t *testing.T, c spoken, requests []fakemodel.Request) {
	t.Helper()
	if len(requests) != 3 {
		t.Fatalf("%d requests", len(requests))
	}
	for i, q := range requests {
		if q.API != c.api || q.Status != 200 || q.Results != []int{0, 3, 4}[i] || q.Shell != "bash" || !strings.Contains(q.Path+string(q.Body), c.model) {
			t.Errorf("%s %s %d, %d results, %s: %.300s", q.API, q.Path, q.Status, q.Results, q.Shell, q.Body)
		}
	}
	last := string(requests[2].Body)
	for _, want := range []string{"mend it", "I look.", "bbb", "no such file", "1 replaced"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last request does not have %q: %s", want, last)
		}
	}
	if c.api == fakemodel.Messages && strings.Count(last, "cache_control") != 2 {
		t.Errorf("what was said is not cached: %s", last)
	}
	if c.api == fakemodel.Gemini && strings.Count(last, "thoughtSignature") != 4 {
		t.Errorf("the signatures of calls did not come back: %s", last)
	}
}

// TestFails: what the provider refuses is said, and a provider that could not
// serve is asked again.
func TestFails(t *testing.T) {
	for _, c := range interfaces {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, &fakemodel.Server{Key: "another"})
			if _, errs, err := j.run(c.env, "--provider", c.name, "go"); err == nil || !strings.Contains(errs, "401") {
				t.Errorf("a wrong key: %v %s", err, errs)
			}
			var n atomic.Int32
			j = newJob(t, &fakemodel.Server{Think: func(fakemodel.Heard) fakemodel.Step {
				if n.Add(1) == 1 {
					return fakemodel.Step{Status: 503, Say: "overloaded"}
				}
				return fakemodel.Step{Say: "There."}
			}})
			if _, errs, err := j.run(c.env, "--provider", c.name, "go"); err != nil || n.Load() != 2 {
				t.Errorf("a provider that could not serve: %v %d %s", err, n.Load(), errs)
			}
		})
	}
}

// TestUsage: what is wrong with a command line is said, with a way out.
func TestUsage(t *testing.T) {
	j := newJob(t, &fakemodel.Server{})
	for _, c := range []struct {
		env  []string
		args []string
		says string
	}{
		{nil, []string{"go"}, "nothing says where a model is"},
		{nil, []string{"--provider", "other", "go"}, "there is no provider"},
		{[]string{"OPENAI_BASE_URL={BASE}/v1"}, []string{"go"}, "no model is named"},
		{interfaces[0].env, nil, "there is no task"},
		{interfaces[0].env, []string{"--resume"}, "no conversation to go on with"},
		{interfaces[0].env, []string{"--max-turns", "0", "go"}, "numbers above 0"},
		{interfaces[0].env, []string{"--nothing"}, "not defined"},
		{interfaces[0].env, []string{"--mcp", "none.json", "go"}, "MCP"},
	} {
		if _, errs, err := j.run(c.env, c.args...); err == nil || !strings.Contains(errs, c.says) {
			t.Errorf("%q: %v %s", c.args, err, errs)
		}
	}
}

// TestText: without --json the text is on one stream, the rest beside.
func TestText(t *testing.T) {
	j := newJob(t, &fakemodel.Server{Script: fakemodel.Script{Steps: []fakemodel.Step{{Say: "I look.", Shell: "true"}, {Say: "Done."}}}})
	cmd := j.command(t.Context(), interfaces[0].env, "go")
	var beside bytes.Buffer
	cmd.Stderr = &beside
	out, err := cmd.Output()
	if err != nil || string(out) != "I look.\nDone.\n" || !strings.Contains(beside.String(), "· bash") || !strings.Contains(beside.String(), "tokens in") {
		t.Errorf("%v %q %q", err, out, beside.String())
	}
}

// TestKilled: killed while a tool runs, between its call and its result, the
// program goes on: the model hears that nobody knows what came of the call, and
// the call is not done again.
func TestKilled(t *testing.T) {
	j := newJob(t, &fakemodel.Server{Script: fakemodel.Script{
		Steps: []fakemodel.Step{{Calls: []fakemodel.Use{use("bash", map[string]any{"command": "echo x >>ran; mkfifo started 2>/dev/null; echo >started; sleep 600"})}}, {Say: "I went on."}}}})
	if out, err := exec.Command("mkfifo", filepath.Join(j.folder, "started")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	cmd := j.command(t.Context(), interfaces[0].env, "begin")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(filepath.Join(j.folder, "started")); err != nil { // the tool runs now
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Cleanup(func() { endSleepers(t, j.folder) })
	events, errs, err := j.run(interfaces[0].env, "--resume")
	if err != nil || events[0].Text != "I went on." || j.read("ran") != "x\n" {
		t.Fatalf("%v %s %+v, ran %q", err, errs, events, j.read("ran"))
	}
	all := j.model.Requests()
	if last := string(all[len(all)-1].Body); !strings.Contains(last, "was stopped while this ran") || !strings.Contains(last, "begin") {
		t.Errorf("the model does not hear of it: %s", last)
	}
	if _, errs, err := j.run(interfaces[0].env, "--resume"); err == nil || !strings.Contains(errs, "done with that") {
		t.Errorf("nothing to go on with: %v %s", err, errs)
	}
	if _, errs, err := j.run(interfaces[0].env, "--resume", "and now this"); err != nil {
		t.Errorf("a conversation goes on with another task: %v %s", err, errs)
	}
}

// endSleepers ends what the killed program left: it has no sandbox here.
func endSleepers(t *testing.T, folder string) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, cwd := range all {
		if to, err := os.Readlink(cwd); err != nil || to != folder {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(cwd, "/proc/%d/", &pid); err == nil {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
	}
}

// TestCompacts: a conversation that fills its window is summed up, and goes on.
func TestCompacts(t *testing.T) {
	var asked atomic.Int32
	j := newJob(t, &fakemodel.Server{Think: func(h fakemodel.Heard) fakemodel.Step {
		switch n := asked.Add(1); {
		case strings.Contains(h.Last, "Write the notes only"):
			return fakemodel.Step{Say: "NOTES OF MINE"}
		case n > 12:
			return fakemodel.Step{Say: "Done."}
		}
		return fakemodel.Step{Calls: []fakemodel.Use{use("bash", map[string]any{"command": "head -c 20000 /dev/zero | tr '\\0' x"})}}
	}})
	events, errs, err := j.run(interfaces[0].env, "--context", "20000", "the task")
	if err != nil {
		t.Fatalf("%v %s", err, errs)
	}
	times := 0
	for _, e := range events {
		if e.Kind == assistant.Compacted {
			times++
		}
	}
	longest := 0
	for _, q := range j.model.Requests() {
		longest = max(longest, len(q.Body))
	}
	if all := j.model.Requests(); times == 0 || longest > 120_000 || !strings.Contains(string(all[len(all)-1].Body), "NOTES OF MINE") {
		t.Errorf("summed up %d times; the longest request has %d bytes", times, longest)
	}
}

// TestAsks: the channel is a descriptor: what the model asks goes out, the answer
// comes back.
func TestAsks(t *testing.T) {
	j := newJob(t, &fakemodel.Server{Script: fakemodel.Script{Steps: []fakemodel.Step{
		{Calls: []fakemodel.Use{use("ask", map[string]any{"text": "May I?"}), use("send_message", map[string]any{"text": "hello"}), use("schedule", map[string]any{"when": "2h", "text": "look"})}}, {Say: "Done."}}}})
	ours, theirs := pair(t)
	cmd := j.command(t.Context(), interfaces[0].env, "--channel", "3", "go")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	_ = ours.SetDeadline(time.Now().Add(5 * time.Minute)) // only so that a failure ends
	kinds := map[assistant.Kind]bool{}
	for lines := json.NewDecoder(ours); len(kinds) < 3; {
		var e assistant.Event
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind] = true
		if e.Kind == assistant.Asked {
			_, _ = ours.Write([]byte("{\"answer\":\"you may\"}\n"))
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if all := j.model.Requests(); !strings.Contains(string(all[len(all)-1].Body), "you may") {
		t.Errorf("the answer did not arrive: %s", all[len(all)-1].Body)
	}
}
