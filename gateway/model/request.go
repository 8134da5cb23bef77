package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// MaxRequest bounds a request, in bytes. A longer one is refused, never cut.
const MaxRequest = 32 << 20

// Request is what a program asks of a model.
type Request struct {
	Model  string
	Stream bool
	Most   int64 // tokens that the answer may have; 0: it does not say
	fields map[string]json.RawMessage
}

// Read reads a request strictly: an object in which no key is there twice, in
// whatever case, so that nobody downstream reads another model than we do.
func Read(from io.Reader) (*Request, error) {
	b, err := io.ReadAll(io.LimitReader(from, MaxRequest+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxRequest {
		return nil, fmt.Errorf("the request is over %d bytes", MaxRequest)
	}
	r := &Request{}
	if r.fields, err = object(b); err != nil {
		return nil, err
	}
	if err := r.field("model", &r.Model); err != nil || r.Model == "" {
		return nil, errors.New("the request names no model")
	}
	if err := r.field("stream", &r.Stream); err != nil {
		return nil, err
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens", "max_output_tokens"} {
		var n int64
		if err := r.field(name, &n); err != nil || n < 0 {
			return nil, fmt.Errorf("%s is not a number of tokens", name)
		}
		r.Most = max(r.Most, n)
	}
	return r, nil
}

func (r *Request) field(name string, into any) error {
	raw, ok := r.fields[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// object reads the outermost object, and sees to it that no key in it is there
// twice.
func object(b []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the request is not a JSON object")
	}
	fields, folded := map[string]json.RawMessage{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("the request is not JSON")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("the request is not JSON")
		}
		if folded[fold(name)] {
			return nil, fmt.Errorf("the key %.40q is there twice", name)
		}
		folded[fold(name)], fields[name] = true, value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("the request is not JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the request")
	}
	return fields, nil
}

// fold is the same for names that a reader might take for one another.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// Bound sees to it that an answer says what it used, and, where the request
// bounds it not at all, that it has at most so many tokens.
func (r *Request) Bound(api API, path string, most int64) ([]byte, error) {
	number := func(n int64) json.RawMessage { return json.RawMessage(fmt.Sprint(n)) }
	if r.Most == 0 {
		r.Most = most
		switch {
		case strings.HasSuffix(path, "/chat/completions"):
			r.fields["max_tokens"] = number(most)
		case strings.HasSuffix(path, "/responses"):
			r.fields["max_output_tokens"] = number(most)
		case strings.HasSuffix(path, "/messages"):
			r.fields["max_tokens"] = number(most)
		}
	}
	if api == OpenAI && r.Stream && strings.HasSuffix(path, "/chat/completions") {
		options := map[string]json.RawMessage{}
		if err := r.field("stream_options", &options); err != nil {
			return nil, err
		}
		options["include_usage"] = json.RawMessage("true")
		b, err := json.Marshal(options)
		if err != nil {
			return nil, err
		}
		r.fields["stream_options"] = b
	}
	return json.Marshal(r.fields)
}

// Estimate is how many tokens a request has at least about: four bytes each.
func Estimate(size int) int64 { return int64(size)/4 + 1 }
