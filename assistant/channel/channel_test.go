package channel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"

	"nacre/assistant"
	"nacre/assistant/tool"
)

func run(t *testing.T, c tool.Channel, name, args string) (string, error) {
	t.Helper()
	for _, one := range tool.People(c) {
		if one.Declare().Name == name {
			return one.Run(t.Context(), json.RawMessage(args))
		}
	}
	t.Fatalf("there is no %s", name)
	return "", nil
}

// TestLines: messages, wishes and questions are lines; an answer comes back.
func TestLines(t *testing.T) {
	ours, theirs := net.Pipe()
	c := New(ours)
	heard := make(chan assistant.Event, 10)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(theirs); lines.Scan(); {
			var e assistant.Event
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				return
			}
			heard <- e
			if e.Kind == assistant.Asked {
				_, _ = theirs.Write([]byte("not JSON\n{\"answer\":\"yes\"}\n"))
			}
		}
	}()
	for _, try := range []struct{ name, args, out string }{
		{"send_message", `{"text":"hi"}`, "handed over"},
		{"schedule", `{"when":"2h","text":"look again"}`, "handed over"},
		{"ask", `{"text":"may I?","options":["yes","no"]}`, "yes"},
	} {
		if out, err := run(t, c, try.name, try.args); out != try.out || err != nil {
			t.Errorf("%s: %q %v", try.name, out, err)
		}
	}
	if e := <-heard; e.Kind != assistant.Sent || e.To != "owner" || e.Text != "hi" {
		t.Errorf("%+v", e)
	}
	if e := <-heard; e.Kind != assistant.Planned || e.When != "2h" {
		t.Errorf("%+v", e)
	}
	if _, err := run(t, c, "schedule", `{"when":"soon","text":"x"}`); err == nil {
		t.Error("a time that is none was passed on")
	}
	theirs.Close()
	if _, err := run(t, c, "send_message", `{"text":"hi"}`); err == nil {
		t.Error("nobody hears, and it says that it was handed over")
	}
}

// TestNobody: without anybody who could answer a question does not wait.
func TestNobody(t *testing.T) {
	var told []assistant.Event
	if _, err := run(t, Events(func(e assistant.Event) { told = append(told, e) }), "ask", `{"text":"may I?"}`); !errors.Is(err, tool.ErrNobody) || len(told) != 1 {
		t.Errorf("%v %+v", err, told)
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := New(ours)
	go func() { _, _ = bufio.NewReader(theirs).ReadString('\n') }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(ctx, assistant.Event{Kind: assistant.Asked}); !errors.Is(err, tool.ErrNobody) {
		t.Errorf("%v", err)
	}
}
