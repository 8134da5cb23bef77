// Package tool is what the assistant can do: run commands, read, write, edit and
// search files, fetch pages, read skills, keep notes, speak with people. Every
// tool bounds what it takes and what it returns, so that neither a model nor what
// a model reads can drown the conversation. None of them is a boundary: that is
// the sandbox around the whole program.
package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"nacre/assistant"
)

// most is how many bytes a tool returns.
const most = 30_000

// one is a tool with arguments of one type.
type one[T any] struct {
	declared assistant.Declared
	run      func(context.Context, T) (string, error)
}

// make a tool. The schema is the properties of an object, in JSON.
func define[T any](name, about, properties string, required []string, run func(context.Context, T) (string, error)) assistant.Tool {
	need, _ := json.Marshal(append([]string{}, required...)) // strings
	schema := `{"type":"object","properties":{` + properties + `},"required":` + string(need) + `,"additionalProperties":false}`
	return one[T]{assistant.Declared{Name: name, About: about, Schema: json.RawMessage(schema)}, run}
}

// Declare is the tool as a model sees it.
func (o one[T]) Declare() assistant.Declared { return o.declared }

// Run reads the arguments strictly and does it.
func (o one[T]) Run(ctx context.Context, args json.RawMessage) (string, error) {
	var v T
	if len(bytes.TrimSpace(args)) == 0 {
		args = json.RawMessage("{}")
	}
	d := json.NewDecoder(bytes.NewReader(args))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return "", fmt.Errorf("the arguments of %s: %w", o.declared.Name, err)
	}
	return o.run(ctx, v)
}

// Bounded cuts the middle out of what is too long, and makes it valid UTF-8.
func Bounded(s string) string {
	if len(s) > most {
		left := len(s) - most
		s = strings.ToValidUTF8(s[:most/2], "") + fmt.Sprintf("\n… %d bytes are left out …\n", left) + strings.ToValidUTF8(s[len(s)-most/2:], "")
	}
	return strings.ToValidUTF8(s, "�")
}

// binary tells whether something is no text.
func binary(b []byte) bool {
	b = b[:min(len(b), 8000)]
	return bytes.IndexByte(b, 0) >= 0 || len(b) > 0 && !utf8.Valid(b[:max(0, len(b)-utf8.UTFMax)])
}

// keeper keeps the first and the last bytes of what is written to it.
type keeper struct {
	first, last []byte
	all         int64
}

// Write never fails: a program must not end because it says much.
func (k *keeper) Write(b []byte) (int, error) {
	n := len(b)
	k.all += int64(n)
	if room := most/2 - len(k.first); room > 0 {
		part := b[:min(room, len(b))]
		k.first, b = append(k.first, part...), b[len(part):]
	}
	if k.last = append(k.last, b...); len(k.last) > most {
		k.last = append(k.last[:0], k.last[len(k.last)-most/2:]...)
	}
	return n, nil
}

func (k *keeper) String() string {
	last := k.last
	if len(last) > most/2 {
		last = last[len(last)-most/2:]
	}
	if left := k.all - int64(len(k.first)+len(last)); left > 0 {
		return strings.ToValidUTF8(string(k.first), "�") + fmt.Sprintf("\n… %d bytes are left out …\n", left) + strings.ToValidUTF8(string(last), "�")
	}
	return strings.ToValidUTF8(string(k.first)+string(last), "�")
}
