package assistant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"nacre/fault"
)

// scripted is a model that says one turn after another, and keeps what it is asked.
type scripted struct {
	turns []Turn
	asked []Request
}

func (s *scripted) Next(_ context.Context, r Request, hear func(string)) (Turn, error) {
	r.Messages = append([]Message(nil), r.Messages...)
	s.asked = append(s.asked, r)
	if len(s.asked) > len(s.turns) {
		return Turn{}, errors.New("it was asked too often")
	}
	t := s.turns[len(s.asked)-1]
	hear(t.Text)
	return t, nil
}

// doing is a tool made of a function.
type doing struct {
	name string
	do   func(ctx context.Context, args string) (string, error)
}

func (d doing) Declare() Declared { return Declared{Name: d.name, Schema: json.RawMessage(`{}`)} }
func (d doing) Run(ctx context.Context, args json.RawMessage) (string, error) {
	return d.do(ctx, string(args))
}

func call(id, name, args string) Call {
	return Call{ID: id, Name: name, Args: json.RawMessage(args)}
}

func calls(c ...Call) Turn { return Turn{Message: Message{Calls: c}, Used: Usage{In: 10, Out: 2}} }
func says(text string) Turn {
	return Turn{Message: Message{Text: text}, Used: Usage{In: 20, Out: 3, Cached: 5}}
}

func journal(t *testing.T) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, path
}

// TestRun: calls are done at the same time, their results come in order, and
// failures are told to the model.
func TestRun(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	meet := doing{"meet", func(_ context.Context, args string) (string, error) {
		both.Done()
		both.Wait() // ends only if both are there
		return "met " + args, nil
	}}
	fail := doing{"fail", func(context.Context, string) (string, error) { return "half", errors.New("broke") }}
	model := &scripted{turns: []Turn{calls(call("1", "meet", "1"), call("2", "meet", "2")), calls(call("3", "fail", "{}"), call("4", "no", "{}"), call("5", "none", "{}")), says("done")}}
	j, _ := journal(t)
	var told []Kind
	a := &Agent{Model: model, Journal: j, Tools: []Tool{meet, fail, doing{"none", func(context.Context, string) (string, error) { return "", nil }}},
		Tell: func(e Event) { told = append(told, e.Kind) }}
	if err := a.Run(t.Context(), "go"); err != nil {
		t.Fatal(err)
	}
	first := model.asked[1].Messages[2].Results
	if len(first) != 2 || first[0].Text != "met 1" || first[1].Text != "met 2" || first[1].ID != "2" {
		t.Errorf("%+v", first)
	}
	second := model.asked[2].Messages[4].Results
	if second[0].Text != "half\nbroke" || !second[0].Failed || !second[1].Failed || second[2].Text != "(nothing)" || second[2].Failed {
		t.Errorf("%+v", second)
	}
	if a.used != (Usage{In: 40, Out: 7, Cached: 5}) || told[len(told)-1] != Done {
		t.Errorf("%+v %v", a.used, told)
	}
}

// TestBounds: an agent ends after so many answers; one that is cut off goes on.
func TestBounds(t *testing.T) {
	model := &scripted{turns: []Turn{calls(call("1", "x", "{}")), calls(call("2", "x", "{}"))}}
	j, _ := journal(t)
	if err := (&Agent{Model: model, Journal: j, Turns: 2}).Run(t.Context(), "go"); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("%v", err)
	}
	cut := says("begin")
	cut.Cut = true
	model = &scripted{turns: []Turn{cut, says("end")}}
	j, _ = journal(t)
	if err := (&Agent{Model: model, Journal: j}).Run(t.Context(), "go"); err != nil || !strings.Contains(model.asked[1].Messages[2].Text, "cut off") {
		t.Errorf("%v %+v", err, model.asked)
	}
	j, _ = journal(t)
	if err := (&Agent{Model: model, Journal: j}).Run(t.Context(), ""); fault.KindOf(err) != fault.Usage {
		t.Errorf("no task: %v", err)
	}
}

// TestResume: an agent that was killed between a call and its result goes on: it
// keeps the results that are there, says of the others that nobody knows, and
// does none of them again.
func TestResume(t *testing.T) {
	j, path := journal(t)
	for _, e := range []entry{{Message: &Message{Text: "go"}}, {Message: &Message{Model: true, Calls: []Call{call("1", "x", "{}"), call("2", "x", "{}")}}, Used: &Usage{In: 7}},
		{Result: &Result{ID: "2", Name: "x", Text: "came"}}} {
		if err := j.write(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.file.WriteString(`{"result":{"id":"1","na`); err != nil { // killed while it wrote
		t.Fatal(err)
	}
	if _, err := OpenJournal(path, true); fault.KindOf(err) != fault.Conflict {
		t.Errorf("two at one conversation: %v", err)
	}
	_ = j.Close()
	j = reopen(t, path)
	model := &scripted{turns: []Turn{says("done")}}
	again := doing{"x", func(context.Context, string) (string, error) { t.Error("done again"); return "", nil }}
	a := &Agent{Model: model, Journal: j, Tools: []Tool{again}}
	if err := a.Run(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	r := model.asked[0].Messages[2].Results
	if len(r) != 2 || !r[0].Failed || !strings.Contains(r[0].Text, "stopped") || r[1].Text != "came" {
		t.Errorf("%+v", r)
	}
	if a.used.In != 27 {
		t.Errorf("used %+v", a.used)
	}
	_ = j.Close()
	j = reopen(t, path) // and what went on can be gone on with
	if len(j.messages) != 4 || len(j.open()) != 0 {
		t.Errorf("%+v", j.messages)
	}
	if err := (&Agent{Model: model, Journal: j}).Run(t.Context(), ""); fault.KindOf(err) != fault.Usage {
		t.Errorf("nothing to go on with: %v", err)
	}
}

func reopen(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// TestCompact: a conversation that fills its window is summed up by the model; the
// last messages stay, no result without its call; the journal has the same.
func TestCompact(t *testing.T) {
	long := doing{"long", func(_ context.Context, args string) (string, error) {
		return "result " + args + strings.Repeat("x", 3000), nil
	}}
	model := &scripted{}
	for i := range 9 {
		model.turns = append(model.turns, calls(call(fmt.Sprint(i), "long", fmt.Sprint(i))))
	}
	model.turns = append(model.turns, says("NOTES"), says("done"))
	j, path := journal(t)
	a := &Agent{Model: model, Journal: j, Tools: []Tool{long}, Window: 8000, System: "sys"}
	if err := a.Run(t.Context(), "the task"); err != nil {
		t.Fatal(err)
	}
	summing, after := model.asked[len(model.asked)-2], model.asked[len(model.asked)-1]
	if len(summing.Tools) != 0 || !strings.Contains(summing.Messages[0].Text, "the task") || !strings.HasSuffix(summing.Messages[len(summing.Messages)-1].Text, summarise) {
		t.Errorf("asked to sum up: %+v", summing)
	}
	if first := after.Messages[0]; first.Model || !strings.Contains(first.Text, "NOTES") {
		t.Errorf("it begins with %+v", first)
	}
	open := map[string]bool{}
	for _, m := range after.Messages {
		for _, c := range m.Calls {
			open[c.ID] = true
		}
		for _, r := range m.Results {
			if !open[r.ID] {
				t.Errorf("a result without its call: %s", r.ID)
			}
		}
	}
	if last := after.Messages[len(after.Messages)-1]; len(last.Results) != 1 || !strings.HasPrefix(last.Results[0].Text, "result 8") {
		t.Errorf("the last result is gone: %.80v", last)
	}
	_ = j.Close()
	if j = reopen(t, path); len(j.messages) != len(a.messages) || j.messages[0].Text != a.messages[0].Text {
		t.Errorf("the journal has %d messages, the conversation %d", len(j.messages), len(a.messages))
	}
}

// TestTell: what people see has no character that moves their cursor.
func TestTell(t *testing.T) {
	var text, beside bytes.Buffer
	tell := People(&text, &beside)
	c := call("1", "bash", "{\"command\":\"\x1b[2J\"}")
	for _, e := range []Event{{Kind: Said, Text: "I look."}, {Kind: Called, Call: &c}, {Kind: Came, Result: &Result{Failed: true, Text: "no\x07\nway"}},
		{Kind: Sent, To: "owner", Text: "hi"}, {Kind: Planned, When: "2h", Text: "x"}, {Kind: Asked, Text: "may I?", Options: []string{"yes", "no"}}, {Kind: Compacted}, {Kind: Done, Used: &Usage{In: 3}}} {
		tell(e)
	}
	if text.String() != "I look.\n" || strings.ContainsAny(beside.String(), "\x1b\x07") {
		t.Errorf("%q %q", text.String(), beside.String())
	}
}

// FuzzJournal: a journal, which the agent's own tools may have written to, is read or
// refused, and what was read has a result for each call but the last ones. One that
// was cut off anywhere, as by a kill, can be gone on with as well.
func FuzzJournal(f *testing.F) {
	f.Add([]byte("{\"message\":{\"text\":\"x\"}}\n{\"message\":{\"model\":true,\"calls\":[{\"id\":\"1\",\"name\":\"n\",\"args\":{}}]}}\n{\"result\":{\"id\":\"1\"}}\n"), 70)
	f.Add([]byte("{\"compact\":[{\"text\":\"x\"}]}\n{\"end\":true}\n{\"half"), 30)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var j, before Journal
		if j.read(bytes.NewReader(b)) != nil {
			return
		}
		wanted := map[string]int{}
		for i, m := range j.messages {
			for _, r := range m.Results {
				wanted[r.ID]--
			}
			for id, n := range wanted {
				if n != 0 {
					t.Errorf("message %d: the call %q has %d results too few", i, id, n)
				}
			}
			wanted = map[string]int{}
			for _, c := range m.Calls {
				wanted[c.ID]++
			}
		}
		if err := before.read(bytes.NewReader(b[:max(0, min(cut, len(b)))])); err != nil {
			t.Errorf("cut off after %d bytes: %v", cut, err)
		}
	})
}

// TestJournalRefused: what is no journal, and one that is not there.
func TestJournalRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	if _, err := OpenJournal(path, true); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("{\"else\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(path, true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}
