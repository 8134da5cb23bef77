package fakemodel

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
)

// Script is what the model does. The first rule that matches the last message
// decides; without one, the steps are taken in turn: which one is told by how
// often the conversation has results of tools (those of one answer's calls count
// once), so that a request which is made again gets the same answer. After the
// last step the model is done.
type Script struct {
	Rules []Rule `json:"rules"`
	Steps []Step `json:"steps"`
}

// Rule is a step for messages that match.
type Rule struct {
	When string `json:"when"` // a regular expression
	Step
}

// Step is one answer: a text, a command for the agent's own tool, calls of tools
// by name, or some of these. A request without such tools, as agents make them
// beside the conversation, gets the text alone.
type Step struct {
	Say    string `json:"say"`
	Shell  string `json:"shell"`
	Calls  []Use  `json:"calls"`
	Status int    `json:"status"` // an error, with the text
}

// Use is a call of a tool by its name; of tools with a longer one, by its end.
type Use struct {
	Tool string         `json:"tool"`
	Args map[string]any `json:"args"`
}

// Read reads a script written in JSON.
func Read(from io.Reader) (Script, error) {
	var s Script
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Script{}, fmt.Errorf("the script: %w", err)
	}
	for _, r := range s.Rules {
		if _, err := regexp.Compile(r.When); err != nil {
			return Script{}, fmt.Errorf("the script: %w", err)
		}
	}
	return s, nil
}

func (s Script) next(a ask) Step {
	for _, r := range s.Rules {
		if match, err := regexp.MatchString(r.When, a.last); err == nil && match {
			return r.Step
		}
	}
	if _, ok := shellTool(a.tools); !ok {
		return Step{Say: "A short text."}
	}
	if a.rounds < len(s.Steps) {
		return s.Steps[a.rounds]
	}
	return Step{Say: "Done."}
}
