// Package result reads what an agent prints of itself, a JSON value in each line, by
// what its harness says of that, and sums it up: what it said last, how many tools it
// called, what it used, what went wrong. What is printed is an agent's word: it is
// bounded, believed for nothing, and only shown.
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"nacre/strictjson"
)

// Format is where each thing is in what an agent prints.
type Format struct {
	Arguments []string `yaml:"arguments" about:"the arguments, in place of {output}, with which it prints JSON, one value in a line"`
	Text      []Find   `yaml:"text" about:"where its words are; the last ones count, and lines that follow each other are one text"`
	Calls     []Find   `yaml:"calls" about:"what stands for the call of a tool"`
	In        []Find   `yaml:"input-tokens" about:"numbers of tokens that the model read, which are summed up"`
	Out       []Find   `yaml:"output-tokens" about:"numbers of tokens that the model wrote, which are summed up"`
	Error     []Find   `yaml:"error" about:"where it says what went wrong; the last counts"`
}

// Find is a place in a line.
type Find struct {
	At   string            `yaml:"at,required" match:"^([A-Za-z0-9_-]+|\\*)(\\.([A-Za-z0-9_-]+|\\*))*$" about:"keys from the top, such as message.content.*.text; * is every element of a list"`
	Is   string            `yaml:"is" about:"only what is this"`
	When map[string]string `yaml:"when" about:"only in lines in which this is so: keys from the top, and values"`
}

// Declared tells whether there is anything to be read.
func (f *Format) Declared() bool {
	return len(f.Text)+len(f.Calls)+len(f.In)+len(f.Out)+len(f.Error) > 0
}

// Result is what came of a task, as its agent says.
type Result struct {
	Text   string `json:"text"`
	Calls  int64  `json:"tool_calls"`
	In     int64  `json:"input_tokens"`
	Out    int64  `json:"output_tokens"`
	Error  string `json:"error,omitempty"`
	Unread int64  `json:"unread_lines,omitempty"` // which are no JSON, or too long
}

// The bounds of what is taken.
const (
	maxLine  = 8 << 20
	maxText  = 1 << 20
	maxError = 64 << 10
	maxCount = 1 << 53 // what JSON's readers count to
)

// Read reads to the end. It fails only where the reader does.
func Read(from io.Reader, f Format) (Result, error) {
	lines := strictjson.NewLines(io.MultiReader(from, strings.NewReader("\n")), maxLine)
	r := reader{format: f}
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return r.whole(), nil
		case errors.Is(err, strictjson.ErrLong):
			r.Unread = add(r.Unread, 1)
			continue
		case err != nil:
			return r.whole(), err
		}
		v, err := strictjson.Parse(line, false)
		if err != nil {
			r.Unread = add(r.Unread, 1)
			continue
		}
		r.line(v)
	}
}

// reader is what was read so far.
type reader struct {
	Result
	format Format
	words  []byte
	open   bool // the line before had words too
}

// whole is the result with its words.
func (r *reader) whole() Result {
	r.Text = cut(string(r.words), maxText)
	return r.Result
}

// line takes one line in.
func (r *reader) line(v any) {
	words := texts(v, r.format.Text)
	if words != "" && !r.open {
		r.words = r.words[:0]
	}
	if r.open = words != ""; len(r.words) <= maxText {
		r.words = append(r.words, words...)
	}
	for _, one := range r.format.Calls {
		r.Calls = add(r.Calls, int64(len(one.in(v))))
	}
	r.In, r.Out = sum(r.In, v, r.format.In), sum(r.Out, v, r.format.Out)
	if wrong := texts(v, r.format.Error); wrong != "" {
		r.Error = cut(wrong, maxError)
	}
}

// texts are the words of all places, one after the other.
func texts(v any, list []Find) string {
	var all strings.Builder
	for _, f := range list {
		for _, found := range f.in(v) {
			if s, ok := found.(string); ok {
				all.WriteString(s)
			}
		}
	}
	return all.String()
}

// sum adds the numbers of all places.
func sum(to int64, v any, list []Find) int64 {
	for _, f := range list {
		for _, found := range f.in(v) {
			n, ok := found.(json.Number)
			if count, err := strconv.ParseInt(string(n), 10, 64); ok && err == nil && count > 0 {
				to = add(to, count)
			}
		}
	}
	return to
}

// add adds two amounts, up to what counts.
func add(a, b int64) int64 { return min(a+min(b, maxCount), maxCount) }

// cut leaves so many bytes of a text, or a little less: whole characters.
func cut(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// in is what a line has at a place.
func (f *Find) in(v any) (found []any) {
	for at, is := range f.When {
		held := false
		for _, one := range look(v, strings.Split(at, ".")) {
			held = held || written(one) == is
		}
		if !held {
			return nil
		}
	}
	for _, one := range look(v, strings.Split(f.At, ".")) {
		if f.Is == "" || written(one) == f.Is {
			found = append(found, one)
		}
	}
	return found
}

// look is what there is at a place.
func look(v any, keys []string) (found []any) {
	if len(keys) == 0 {
		return []any{v}
	}
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v[keys[0]]; ok {
			return look(next, keys[1:])
		}
	case []any:
		if keys[0] != "*" {
			return nil
		}
		for _, one := range v {
			found = append(found, look(one, keys[1:])...)
		}
	}
	return found
}

// written is a single value as it is written; nothing for those that hold others.
func written(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool, json.Number:
		return fmt.Sprint(v)
	}
	return ""
}
