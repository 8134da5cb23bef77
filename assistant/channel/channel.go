// Package channel leads the assistant's messages, wishes and questions out of it,
// as lines of JSON. They are words: whether somebody gets a message or the
// assistant is woken is for whoever reads them to decide.
package channel

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"nacre/assistant"
	"nacre/assistant/tool"
)

// Events leads them among the events that the program tells. Nobody answers.
type Events func(assistant.Event)

// Tell tells it.
func (e Events) Tell(v assistant.Event) error {
	e(v)
	return nil
}

// Ask tells the question.
func (e Events) Ask(_ context.Context, v assistant.Event) (string, error) {
	e(v)
	return "", tool.ErrNobody
}

// maxAnswer bounds an answer.
const maxAnswer = 1 << 20

// Lines leads them to a descriptor, from which answers come: {"answer": "…"}, one
// in a line, in the order of the questions.
type Lines struct {
	asking  sync.Mutex // one question at a time
	writing sync.Mutex
	to      io.Writer
	answers chan string // closed when nobody answers any more
}

// New takes both ends. It reads from now on.
func New(line io.ReadWriter) *Lines {
	l := &Lines{to: line, answers: make(chan string)}
	go l.listen(line)
	return l
}

func (l *Lines) listen(from io.Reader) {
	defer close(l.answers)
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var v struct {
			Answer *string `json:"answer"`
		}
		if json.Unmarshal(lines.Bytes(), &v) == nil && v.Answer != nil {
			l.answers <- *v.Answer
		}
	}
}

// Tell writes a line.
func (l *Lines) Tell(v assistant.Event) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, err := l.to.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("nobody hears: %w", err)
	}
	return nil
}

// Ask writes a question and waits.
func (l *Lines) Ask(ctx context.Context, v assistant.Event) (string, error) {
	l.asking.Lock()
	defer l.asking.Unlock()
	if err := l.Tell(v); err != nil {
		return "", err
	}
	select {
	case answer, ok := <-l.answers:
		if !ok {
			return "", tool.ErrNobody
		}
		return answer, nil
	case <-ctx.Done():
		return "", tool.ErrNobody
	}
}
