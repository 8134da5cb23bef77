package model

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"nacre/pattern"
)

// MaxRequest bounds a request, in bytes. A longer one is refused, never cut.
const MaxRequest = 32 << 20

// maxName bounds a model's name.
const maxName = 256

// Request is what a program asks of a model.
type Request struct {
	Model    string
	Stream   bool
	Input    int64 // tokens that go in, about
	Counting bool  // it only asks how many tokens something has
	Most     int64 // tokens that all its answers together may have; 0: it does not say
	api      API
	path     string
	answers  int64 // that are asked for at once
	fields   object
	settings object // Gemini's generationConfig
}

// Read reads a request strictly: an object in which no key is there twice, in
// whatever case, so that nobody downstream reads another model than we do.
func Read(api API, path, query string, from io.Reader) (*Request, error) {
	b, err := io.ReadAll(io.LimitReader(from, MaxRequest+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > MaxRequest:
		return nil, fmt.Errorf("the request is over %d bytes", MaxRequest)
	case !utf8.Valid(b):
		return nil, errors.New("the request is not UTF-8")
	}
	r := &Request{api: api, path: path, answers: 1, Input: estimate(b), Counting: strings.HasSuffix(path, "/count_tokens")}
	if r.fields, err = readObject(b); err != nil {
		return nil, fmt.Errorf("the request %w", err)
	}
	if api == Gemini {
		return r, r.gemini(query)
	}
	if err := r.fields.get("model", &r.Model); err != nil || r.Model == "" || len(r.Model) > maxName {
		return nil, errors.New("the request names no model")
	}
	if err := r.fields.get("stream", &r.Stream); err != nil {
		return nil, err
	}
	names := []string{"max_tokens"}
	switch {
	case strings.HasSuffix(path, "/responses"):
		names = []string{"max_output_tokens"}
	case r.chat():
		names = append(names, "max_completion_tokens")
	}
	return r, r.bounds(r.fields, "n", names...)
}

func (r *Request) chat() bool { return strings.HasSuffix(r.path, "/chat/completions") }

// bounds reads how many answers there are to be, and the most that each may have.
func (r *Request) bounds(from object, answers string, names ...string) error {
	for _, name := range append(names, answers) {
		var n int64
		if err := from.get(name, &n); err != nil || n < 0 || n > Highest {
			return fmt.Errorf("%s is not a number that can be", name)
		}
		if name == answers {
			r.answers = max(1, n)
		} else {
			r.Most = max(r.Most, n)
		}
	}
	if r.answers > 128 { // the most that any provider takes
		return fmt.Errorf("%s is not a number that can be", answers)
	}
	r.Most *= r.answers
	return nil
}

// geminiPath has the model and what is asked of it.
var geminiPath = pattern.Of(`^/v1(?:beta)?/models/([A-Za-z0-9][A-Za-z0-9._-]*):(generateContent|streamGenerateContent|countTokens)$`)

// gemini reads what is asked out of the path. What the body says of the model, if
// anything, must be the same.
func (r *Request) gemini(query string) error {
	found := geminiPath().FindStringSubmatch(r.path)
	if found == nil || len(found[1]) > maxName {
		return errors.New("of a model can be asked generateContent, streamGenerateContent and countTokens")
	}
	r.Model, r.Stream, r.Counting = found[1], found[2] == "streamGenerateContent", found[2] == "countTokens"
	if r.Stream && query != "alt=sse" {
		return errors.New("a stream is passed on as events only: ask for it with alt=sse")
	}
	from := r.fields
	for _, name := range []string{"", "generateContentRequest"} {
		if name != "" {
			var err error
			if from, err = from.object(name); err != nil {
				return err
			}
		}
		var model string
		if err := from.get("model", &model); err != nil || model != "" && strings.TrimPrefix(model, "models/") != r.Model {
			return errors.New("the request names a model in its path and another one in its body")
		}
	}
	var err error
	if r.settings, err = r.fields.object("generationConfig"); err != nil {
		return err
	}
	return r.bounds(r.settings, "candidateCount", "maxOutputTokens")
}

// Dear says what in a request costs more than the list of prices knows.
func (r *Request) Dear() error {
	for name, usual := range map[string][]string{"service_tier": {"", "auto", "default", "flex", "standard_only"}, "speed": {"", "standard"}} {
		var value string
		if err := r.fields.get(name, &value); err != nil || !slices.Contains(usual, value) {
			return fmt.Errorf("%s may be dearer than the price that is known", name)
		}
	}
	return nil
}

// Bound sees to it that an answer says what it used, and, where the request
// bounds it not at all, that all answers together have at most so many tokens.
// The field is the one of Chat Completions. It returns the request, written anew.
func (r *Request) Bound(field string, most int64) ([]byte, error) {
	if r.Counting {
		return r.fields.write()
	}
	if r.Most == 0 {
		each := max(1, most/r.answers)
		r.Most = each * r.answers
		switch {
		case r.api == Gemini:
			r.settings.set("maxOutputTokens", each)
			r.fields.set("generationConfig", r.settings.values)
		case r.chat() && field != "":
			r.fields.set(field, each)
		case strings.HasSuffix(r.path, "/responses"):
			r.fields.set("max_output_tokens", each)
		default:
			r.fields.set("max_tokens", each)
		}
	}
	if r.chat() && r.Stream {
		options, err := r.fields.object("stream_options")
		if err != nil {
			return nil, err
		}
		options.set("include_usage", true)
		r.fields.set("stream_options", options.values)
	}
	return r.fields.write()
}

// estimate is how many tokens a text has, about: four letters of English each, or
// two bytes of other scripts. It may be too few, and is settled later.
func estimate(body []byte) int64 {
	plain, other := int64(0), int64(0)
	for _, c := range body {
		if c < utf8.RuneSelf {
			plain++
		} else {
			other++
		}
	}
	return plain/4 + other/2 + 1
}
