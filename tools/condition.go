package tools

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// condition bounds one argument.
type condition struct {
	text     string // as it was written
	name     string
	optional bool
	texts    []string // one of these; each with one * at most
	most     *big.Rat // in place of texts: a number up to this
}

// parse reads NAME=TEXT|TEXT or NAME<=NUMBER; NAME? may be missing.
func parse(text string) (c condition, err error) {
	c.text = text
	at := strings.IndexAny(text, "=<")
	if at <= 0 {
		return c, fmt.Errorf("expected NAME=VALUE, NAME<=NUMBER or only, found %.80q", text)
	}
	c.name, c.optional = strings.CutSuffix(text[:at], "?")
	if number, ok := strings.CutPrefix(text[at:], "<="); ok {
		if c.most, ok = new(big.Rat).SetString(number); !ok {
			return c, fmt.Errorf("expected NAME<=NUMBER, found %.80q", text)
		}
		return c, nil
	}
	if text[at] != '=' {
		return c, fmt.Errorf("expected NAME=VALUE or NAME<=NUMBER, found %.80q", text)
	}
	c.texts = strings.Split(text[at+1:], "|")
	for _, t := range c.texts {
		if strings.Count(t, "*") > 1 {
			return c, fmt.Errorf("expected one * at most, found %.80q", text)
		}
	}
	return c, nil
}

// holds tells whether a value is what the condition says. Lists and objects are
// so only where anything is.
func (c condition) holds(value any) bool {
	if c.most != nil {
		n, ok := value.(json.Number)
		// A number may be written in few bytes and be of very many.
		if !ok || len(n) > 40 || strings.ContainsAny(string(n), "eE") {
			return false
		}
		r, ok := new(big.Rat).SetString(string(n))
		return ok && r.Cmp(c.most) <= 0
	}
	for _, t := range c.texts {
		if t == "*" || scalar(t, value) {
			return true
		}
	}
	return false
}

// scalar compares text with text, and numbers, true and false as they are written.
func scalar(pattern string, value any) bool {
	switch v := value.(type) {
	case string:
		return matches(pattern, v)
	case json.Number:
		return pattern == string(v)
	case bool:
		return pattern == fmt.Sprint(v)
	}
	return false
}

// matches: * stands for anything but what leads out of a folder, or ends a line, also
// where escapes are undone.
func matches(pattern, s string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, before)
	if !ok || len(rest) < len(after) || !strings.HasSuffix(rest, after) {
		return false
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	for _, segment := range strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == ".." {
			return false
		}
	}
	return !slices.ContainsFunc(strings.Split(s, "%")[1:], leads)
}

// leads tells whether what follows a % stands for a dot, for what separates folders, for
// a control character, or for another escape's beginning.
func leads(after string) bool {
	c, err := strconv.ParseUint(after[:min(len(after), 2)], 16, 8)
	return err == nil && len(after) >= 2 && (c < ' ' || c == 0x7f || strings.IndexByte(`./\%`, byte(c)) >= 0)
}
