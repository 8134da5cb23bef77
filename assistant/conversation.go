// Package assistant is the loop of a small AI agent: it has a language model go on
// with a conversation, does what tools the model calls, and tells the model what
// came of it, until the model is done. It runs inside a sandbox like any other
// agent and is trusted with nothing: no decision about what may be done is made
// here. Which model answers, and by which interface, is a Provider's business.
package assistant

import (
	"context"
	"encoding/json"
	"strings"
)

// Provider speaks one interface of language models.
type Provider interface {
	// Next has the model go on with a conversation. hear gets the text as it comes.
	Next(ctx context.Context, r Request, hear func(text string)) (Turn, error)
}

// Request is all that a model gets to see.
type Request struct {
	System   string
	Messages []Message
	Tools    []Declared
	Most     int // tokens of the answer
}

// Message is one side's word: the user's text or the results of tools, or the
// model's text and calls.
type Message struct {
	Model   bool     `json:"model,omitempty"` // who speaks; else the user
	Text    string   `json:"text,omitempty"`
	Calls   []Call   `json:"calls,omitempty"`
	Results []Result `json:"results,omitempty"`
}

// Call is one use of a tool that the model asks for.
type Call struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
	// Seal is what a provider wants back with the call, unread.
	Seal []byte `json:"seal,omitempty"`
}

// String is a call as people read it.
func (c Call) String() string {
	var v any
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if json.Unmarshal(c.Args, &v) != nil || out.Encode(v) != nil {
		return c.Name
	}
	return c.Name + " " + strings.TrimSpace(b.String())
}

// Result is what came of a call.
type Result struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Text   string `json:"text"`
	Failed bool   `json:"failed,omitempty"`
}

// Turn is a model's answer.
type Turn struct {
	Message
	Used Usage
	Cut  bool // the answer has reached the bound on its length
}

// Usage is what answers cost, in tokens.
type Usage struct {
	In     int64 `json:"in"`
	Out    int64 `json:"out"`
	Cached int64 `json:"cached,omitempty"` // of In
}

func (u *Usage) add(more Usage) {
	u.In, u.Out, u.Cached = u.In+more.In, u.Out+more.Out, u.Cached+more.Cached
}

// Declared is a tool as a model sees it.
type Declared struct {
	Name   string
	About  string
	Schema json.RawMessage // JSON Schema of an object
}

// Tool is something that the model can have done.
type Tool interface {
	Declare() Declared
	// Run does it. An error is told to the model like a result: it may try again.
	Run(ctx context.Context, args json.RawMessage) (string, error)
}
