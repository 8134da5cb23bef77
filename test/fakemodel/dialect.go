package fakemodel

import (
	"encoding/json"
	"net/http"
	"strings"
)

// dialect is one provider's interface.
type dialect interface {
	name() string
	key(*http.Request) string              // what is in the place for the key
	read([]byte, *ask) error               // what is asked
	whole(ask, answer) any                 // an answer in one piece
	events(ask, answer) []event            // the same as a stream
	refuse(status int, message string) any // an error
}

// ask is a request, whatever its dialect.
type ask struct {
	model   string
	stream  bool
	usage   bool   // the stream is to end with what was used
	last    string // the text of the last message: a user's or a tool's
	results int    // tool results in the whole conversation
	rounds  int    // how many times there were some: those of parallel calls count once
	tools   []Tool
	in      int // tokens, about
}

// answer is what the model says.
type answer struct {
	id    string
	text  string
	calls []call
	out   int // tokens, about
}

// call is a tool call.
type call struct {
	id     string
	tool   Tool
	args   map[string]any
	script string // in place of arguments, for tools that take a text
}

// result counts a tool result; follows tells that it comes right after another.
func (a *ask) result(follows bool) {
	a.results++
	if !follows {
		a.rounds++
	}
}

func (c call) json() string {
	b, _ := json.Marshal(c.args) // strings, numbers, lists
	return string(b)
}

// action is what a path asks for besides an answer.
type action int

const (
	talk action = iota
	stream
	count
	list
)

// meant tells from the path which dialect is spoken. Base addresses differ in
// whether they hold the version, so only ends of paths are looked at.
func meant(r *http.Request) (dialect, action) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	for _, way := range []struct {
		end    string
		d      dialect
		action action
	}{
		{"/messages", messages{}, talk}, {"/messages/count_tokens", messages{}, count},
		{"/chat/completions", chat{}, talk}, {"/responses", responses{}, talk},
		{":generateContent", gemini{}, talk}, {":streamGenerateContent", gemini{}, stream}, {":countTokens", gemini{}, count},
	} {
		if strings.HasSuffix(path, way.end) {
			return way.d, way.action
		}
	}
	if strings.HasSuffix(path, "/models") {
		if r.Header.Get("X-Api-Key") != "" {
			return messages{}, list
		}
		return chat{}, list
	}
	return nil, talk
}

// modelOf is the model in a path like /v1beta/models/NAME:generateContent.
func modelOf(path string) string {
	_, name, _ := strings.Cut(path, "/models/")
	name, _, _ = strings.Cut(name, ":")
	return name
}

func bearer(r *http.Request) string {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return key
}

// content is a message's: a text, or a list of parts of which some have text.
type content string

// UnmarshalJSON takes either form.
func (c *content) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*c = content(text)
		return nil
	}
	var parts []struct {
		Text    string          `json:"text"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return nil // something else: no text
	}
	var all []string
	for _, p := range parts {
		if p.Text != "" {
			all = append(all, p.Text)
		}
		var inner content
		if p.Content != nil && json.Unmarshal(p.Content, &inner) == nil {
			all = append(all, string(inner))
		}
	}
	*c = content(strings.Join(all, "\n"))
	return nil
}

// pieces cuts a text as a stream would.
func pieces(text string) (list []string) {
	for len(text) > 24 {
		n := 24
		for n < len(text) && text[n]&0xc0 == 0x80 { // within a character
			n++
		}
		list, text = append(list, text[:n]), text[n:]
	}
	if text != "" {
		list = append(list, text)
	}
	return list
}
