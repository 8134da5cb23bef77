package tool

import (
	"context"
	"errors"
	"time"

	"nacre/assistant"
)

// Channel is the way to people and to whoever keeps the clock. Today it is lines
// of JSON on a descriptor, or the program's own events; the seam is here.
type Channel interface {
	// Tell passes something on; nobody answers.
	Tell(assistant.Event) error
	// Ask passes a question on and waits for the answer.
	Ask(ctx context.Context, e assistant.Event) (string, error)
}

// ErrNobody says that nobody is there to answer.
var ErrNobody = errors.New("nobody can answer now; decide yourself what is safe, and say in the end what you left open")

// patience is how long an answer may take.
const patience = time.Hour

// People are the tools that reach people through a channel.
func People(c Channel) []assistant.Tool {
	type message struct {
		To   string `json:"to"`
		Text string `json:"text"`
	}
	type wish struct {
		When string `json:"when"`
		Text string `json:"text"`
	}
	type question struct {
		Text    string   `json:"text"`
		Options []string `json:"options"`
	}
	return []assistant.Tool{
		define("send_message", "Send somebody a message. Who can be reached is for others to decide.",
			`"to":{"type":"string","description":"default: your owner"},"text":{"type":"string"}`, []string{"text"},
			func(_ context.Context, a message) (string, error) {
				if a.To == "" {
					a.To = "owner"
				}
				return "handed over", c.Tell(assistant.Event{Kind: assistant.Sent, To: a.To, Text: Bounded(a.Text)})
			}),
		define("schedule", "Ask to be woken later with a task. Whether that is done is for others to decide.",
			`"when":{"type":"string","description":"a time (RFC 3339), a duration like 2h, or five fields of cron"},"text":{"type":"string","description":"the task"}`, []string{"when", "text"},
			func(_ context.Context, a wish) (string, error) {
				if !moment(a.When) {
					return "", errors.New("when is a time like 2026-01-31T15:04:05Z, a duration like 2h, or five fields of cron")
				}
				return "handed over", c.Tell(assistant.Event{Kind: assistant.Planned, When: a.When, Text: Bounded(a.Text)})
			}),
		define("ask", "Ask your owner, where you cannot go on without. Waits for the answer.",
			`"text":{"type":"string"},"options":{"type":"array","items":{"type":"string"},"description":"answers to choose from"}`, []string{"text"},
			func(ctx context.Context, a question) (string, error) {
				ctx, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				answer, err := c.Ask(ctx, assistant.Event{Kind: assistant.Asked, Text: Bounded(a.Text), Options: a.Options})
				return Bounded(answer), err
			}),
	}
}
