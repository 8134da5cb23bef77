package assistant

import (
	"context"
	"fmt"
	"strings"
)

const (
	// kept is how many messages stay as they are when a conversation is compacted.
	kept = 6
	// longest is how many letters of a tool's result a summary is made from.
	longest = 2000
)

const summarise = `The conversation above gets too long. Write down what is needed to go on with it
without having read it: the task, what was decided and why, what was done to which files,
what was found out, what is still to be done. Be exact about names, paths and commands.
Write the notes only.`

// compact has the model sum up a conversation that fills its window, and goes on
// with the sum and the last few messages in its place.
func (a *Agent) compact(ctx context.Context) error {
	if a.Window <= 0 || a.size() < a.Window*8/10 {
		return nil
	}
	from := a.cut()
	if from == 0 {
		return nil // nothing that could be left out
	}
	old := append(shortened(a.messages[:from]), Message{Text: summarise})
	r := Request{System: a.System, Messages: merged(old), Most: a.Most}
	t, err := a.Model.Next(ctx, r, func(string) {})
	if err != nil {
		return fmt.Errorf("the model, asked to sum up: %w", err)
	}
	a.used.add(t.Used)
	notes := Message{Text: "This conversation began earlier. Notes of what came before:\n\n" + t.Text}
	a.messages = merged(append([]Message{notes}, a.messages[from:]...))
	a.last = Usage{}
	a.Told(Event{Kind: Compacted, Text: t.Text, Used: &t.Used})
	return a.Journal.write(entry{Compact: a.messages, Used: &t.Used})
}

// size is about how many tokens the conversation has: as the provider counted
// it, or four letters to a token, whichever is more.
func (a *Agent) size() int {
	letters := len(a.System)
	for _, m := range a.messages {
		letters += length(m)
	}
	return max(letters/4, int(a.last.In+a.last.Out))
}

func length(m Message) int {
	n := len(m.Text)
	for _, c := range m.Calls {
		n += len(c.Name) + len(c.Args)
	}
	for _, r := range m.Results {
		n += len(r.Text)
	}
	return n
}

// cut is where the messages begin that stay: never between a call and its result,
// and with no more than half of the window.
func (a *Agent) cut() int {
	from, letters := len(a.messages), 0
	for from > 0 && len(a.messages)-from < kept {
		if letters += length(a.messages[from-1]); letters/4 > a.Window/2 {
			break
		}
		from--
	}
	for from < len(a.messages) && len(a.messages[from].Results) > 0 {
		from++ // its calls would be missing
	}
	return from
}

// shortened are messages without what makes them long.
func shortened(list []Message) (short []Message) {
	for _, m := range list {
		if len(m.Results) > 0 || len(m.Calls) > 0 {
			m.Text = strings.TrimSpace(m.Text + "\n" + spoken(m))
			m.Calls, m.Results = nil, nil
		}
		short = append(short, m)
	}
	return short
}

// spoken says calls and results as text, so that a request without tools can
// have them.
func spoken(m Message) string {
	var b strings.Builder
	for _, c := range m.Calls {
		fmt.Fprintf(&b, "[calls %s %s]\n", c.Name, head(string(c.Args), longest))
	}
	for _, r := range m.Results {
		fmt.Fprintf(&b, "[%s returns: %s]\n", r.Name, head(r.Text, longest))
	}
	return b.String()
}

func head(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " …"
}

// merged joins texts of one side that follow each other, which some interfaces refuse.
func merged(list []Message) (all []Message) {
	for _, m := range list {
		if n := len(all); n > 0 && all[n-1].Model == m.Model && plain(all[n-1]) && plain(m) {
			all[n-1].Text += "\n\n" + m.Text
			continue
		}
		all = append(all, m)
	}
	return all
}

func plain(m Message) bool { return m.Calls == nil && m.Results == nil }
