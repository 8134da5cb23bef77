package assistant

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	Said      Kind = "text"      // a piece of the model's text
	Called    Kind = "call"      // a tool is called
	Came      Kind = "result"    // what came of it
	Used      Kind = "usage"     // what an answer cost
	Compacted Kind = "compacted" // the conversation was summed up
	Sent      Kind = "message"   // the model sends somebody a message
	Planned   Kind = "schedule"  // the model wants to be woken
	Asked     Kind = "ask"       // the model asks its owner
	Done      Kind = "done"      // the model is done; what all of it cost
)

// Event is something that happens. Its JSON is what --json prints and what a
// channel gets, one in a line.
type Event struct {
	Kind    Kind     `json:"type"`
	Text    string   `json:"text,omitempty"`
	To      string   `json:"to,omitempty"`
	When    string   `json:"when,omitempty"`
	Options []string `json:"options,omitempty"`
	Call    *Call    `json:"call,omitempty"`
	Result  *Result  `json:"result,omitempty"`
	Used    *Usage   `json:"usage,omitempty"`
}

// Lines tells events as JSON, one in a line.
func Lines(w io.Writer) func(Event) {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return func(e Event) { _ = out.Encode(e) } // who reads them may be gone
}

// People tells events for people: the model's text to one place, the rest beside.
func People(text, beside io.Writer) func(Event) {
	within := false // a line that is not at its end
	aside := func(format string, args ...any) {
		if within {
			_, _ = fmt.Fprintln(text)
			within = false
		}
		_, _ = fmt.Fprintf(beside, format+"\n", args...)
	}
	return func(e Event) {
		switch e.Kind {
		case Said:
			_, _ = io.WriteString(text, e.Text)
			within = !strings.HasSuffix(e.Text, "\n")
		case Called:
			aside("· %s", line(e.Call.String()))
		case Came:
			if e.Result.Failed {
				aside("  failed: %s", line(e.Result.Text))
			}
		case Compacted:
			aside("· the conversation was summed up")
		case Sent:
			aside("· message to %s: %s", e.To, line(e.Text))
		case Planned:
			aside("· wants to be woken %s: %s", e.When, line(e.Text))
		case Asked:
			aside("? %s %s", line(e.Text), strings.Join(e.Options, " / "))
		case Done:
			aside("· %d tokens in (%d cached), %d out", e.Used.In, e.Used.Cached, e.Used.Out)
		}
	}
}

// line is a text as one short line without anything that moves a cursor.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return head(s, 160)
}
