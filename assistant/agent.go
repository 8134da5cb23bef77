package assistant

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"nacre/fault"
)

// Agent is one at work on one conversation.
type Agent struct {
	Model   Provider
	Tools   []Tool
	System  string
	Journal *Journal
	Tell    func(Event) // what happens, as it happens; not called twice at once
	Turns   int         // the most answers of the model; 0: no bound
	Window  int         // tokens that the conversation may have; 0: no bound
	Most    int         // tokens of one answer

	messages []Message
	used     Usage
	last     Usage // of the last answer
	telling  sync.Mutex
}

// atOnce is how many tools run at the same time.
const atOnce = 8

// Run works on a prompt until the model is done. With an empty prompt it goes on
// where the journal ends. Errors: Usage, and whatever the model's provider says.
func (a *Agent) Run(ctx context.Context, prompt string) error {
	if err := a.begin(ctx, prompt); err != nil {
		return err
	}
	for turn := 0; ; turn++ {
		if a.Turns > 0 && turn >= a.Turns {
			return fault.New(fault.Exhausted, "the model was not done after %d answers", a.Turns).WithHint("go on with --resume, or allow more with --max-turns")
		}
		if err := a.compact(ctx); err != nil {
			return err
		}
		t, err := a.Model.Next(ctx, a.request(), func(text string) { a.Told(Event{Kind: Said, Text: text}) })
		if err != nil {
			return fmt.Errorf("the model: %w", err)
		}
		if err := a.hear(t); err != nil {
			return err
		}
		switch {
		case len(t.Calls) > 0:
			if err := a.work(ctx, t.Calls, func(c Call) Result { return a.do(ctx, c) }); err != nil {
				return err
			}
		case t.Cut:
			if err := a.say(Message{Text: "Your answer was cut off at the bound on its length. Go on where it ended."}); err != nil {
				return err
			}
		default:
			a.Told(Event{Kind: Done, Used: &a.used})
			return a.Journal.write(entry{End: true})
		}
	}
}

// begin takes up a conversation out of the journal, or begins one.
func (a *Agent) begin(ctx context.Context, prompt string) error {
	a.messages, a.used = a.Journal.messages, a.Journal.used
	if open := a.Journal.open(); len(open) > 0 {
		if err := a.work(ctx, open, a.Journal.resultOf); err != nil {
			return err
		}
	}
	switch {
	case prompt != "":
		return a.say(Message{Text: prompt})
	case len(a.messages) == 0:
		return fault.New(fault.Usage, "there is no task").WithHint(`say what is to be done: nacre-assistant "fix the failing test"`)
	case a.messages[len(a.messages)-1].Model:
		return fault.New(fault.Usage, "the model was done with that").WithHint("say what is to be done next")
	}
	return nil
}

// hear takes an answer into the conversation.
func (a *Agent) hear(t Turn) error {
	a.used.add(t.Used)
	a.last = t.Used
	a.Told(Event{Kind: Used, Used: &t.Used})
	t.Model = true
	if t.Text == "" && len(t.Calls) == 0 {
		t.Text = "(nothing)" // some interfaces refuse what is empty
	}
	a.messages = append(a.messages, t.Message)
	return a.Journal.write(entry{Message: &t.Message, Used: &t.Used})
}

func (a *Agent) say(m Message) error {
	a.messages = append(a.messages, m)
	return a.Journal.write(entry{Message: &m})
}

// work does what the model calls for, several calls at once, and says what came
// of each in the order in which they were asked for.
func (a *Agent) work(ctx context.Context, calls []Call, do func(Call) Result) error {
	results := make([]Result, len(calls))
	errs := make([]error, len(calls))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, c := range calls {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			results[i] = do(c)
			errs[i] = a.Journal.write(entry{Result: &results[i]})
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a.messages = append(a.messages, Message{Results: results})
	return errors.Join(errs...)
}

// do does one call.
func (a *Agent) do(ctx context.Context, c Call) Result {
	r := Result{ID: c.ID, Name: c.Name}
	a.Told(Event{Kind: Called, Call: &c})
	tool, ok := a.tool(c.Name)
	if !ok {
		r.Text, r.Failed = fmt.Sprintf("there is no tool %q", c.Name), true
	} else if text, err := tool.Run(ctx, c.Args); err != nil {
		r.Text, r.Failed = err.Error(), true
		if text != "" {
			r.Text = text + "\n" + r.Text
		}
	} else {
		r.Text = text
	}
	if r.Text == "" {
		r.Text = "(nothing)"
	}
	a.Told(Event{Kind: Came, Result: &r})
	return r
}

func (a *Agent) tool(name string) (Tool, bool) {
	for _, t := range a.Tools {
		if t.Declare().Name == name {
			return t, true
		}
	}
	return nil, false
}

func (a *Agent) request() Request {
	r := Request{System: a.System, Messages: a.messages, Most: a.Most}
	for _, t := range a.Tools {
		r.Tools = append(r.Tools, t.Declare())
	}
	return r
}

// Told tells an event of somebody else's among the agent's own.
func (a *Agent) Told(e Event) {
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.Tell != nil {
		a.Tell(e)
	}
}
