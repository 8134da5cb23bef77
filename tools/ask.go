package tools

import (
	"encoding/json"
	"strings"
)

// Ask reads a call as people ask about it: SERVER/TOOL, and arguments as
// NAME=VALUE after it; without them it is any call.
func Ask(s string) (c Call, ok bool) {
	place, rest, _ := strings.Cut(s, " ")
	if c.Server, c.Tool, ok = strings.Cut(place, "/"); !ok || c.Server == "" || c.Tool == "" {
		return Call{}, false
	}
	words := strings.Fields(rest)
	c.Any = len(words) == 0
	c.Arguments = map[string]any{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return Call{}, false
		}
		c.Arguments[name] = written(value)
	}
	return c, true
}

// written is a number, true or false where it looks like one, else text.
func written(s string) any {
	switch {
	case s == "true", s == "false":
		return s == "true"
	case s != "" && strings.Trim(s, "0123456789.-") == "" && json.Valid([]byte(s)):
		return json.Number(s)
	}
	return s
}
