package fakemodel

import (
	"encoding/json"
	"slices"
	"strings"
)

// Tool is one that a request declares.
type Tool struct {
	Name   string
	Kind   string // "function", or another of the Responses interface
	Group  string // its namespace, if it is in one
	About  string // its description, as far as it matters
	Schema schema
}

// schema is the part of a JSON Schema that arguments are made from.
type schema struct {
	Type       any               `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Enum       []any             `json:"enum"`
	AnyOf      []schema          `json:"anyOf"`
}

// is tells whether a schema admits a type; some write it in capitals, some as
// a list.
func (s schema) is(name string) bool {
	b, _ := json.Marshal(s.Type) // as it was read
	return slices.ContainsFunc([]string{name, upper(name)}, func(n string) bool {
		return string(b) == `"`+n+`"` || slices.Contains(listed(b), n)
	})
}

func listed(b []byte) (names []string) {
	_ = json.Unmarshal(b, &names) // not a list: none
	return names
}

func upper(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] -= 'a' - 'A'
	}
	return string(b)
}

// shells are the names that agents' tools for commands have.
var shells = []string{"bash", "Bash", "shell", "shell_command", "exec_command", "local_shell", "run_shell_command", "run_command",
	"run_commands", "execute_command", "execute_bash", "exec", "terminal", "run_terminal_cmd", "developer__shell"}

// shellTool is the one that runs commands.
func shellTool(tools []Tool) (Tool, bool) {
	for _, name := range shells {
		if i := slices.IndexFunc(tools, func(t Tool) bool { return t.Name == name }); i >= 0 {
			return tools[i], true
		}
	}
	return Tool{}, false
}

// named is a tool by its name, or the end of it.
func named(tools []Tool, name string) (Tool, bool) {
	for _, t := range tools {
		if t.Name == name || strings.HasSuffix(t.Name, "__"+name) {
			return t, true
		}
	}
	return Tool{}, false
}

// arguments are those that make the tool run a command.
func (t Tool) arguments(command string) map[string]any {
	args := map[string]any{}
	for _, name := range []string{"command", "cmd", "script", "commands"} {
		s, ok := t.Schema.Properties[name]
		if !ok {
			continue
		}
		args[name] = command
		if s.is("array") && name == "commands" {
			args[name] = []string{command}
		} else if s.is("array") {
			args[name] = []string{"sh", "-c", command}
		}
		break
	}
	for _, name := range t.Schema.Required {
		if _, set := args[name]; !set {
			args[name] = t.Schema.Properties[name].filler()
		}
	}
	return args
}

// text is the command as tools want it that take a text and no arguments: some
// run JavaScript, out of which other tools are called.
func (t Tool) text(command string) string {
	if !strings.Contains(t.About, "tools.exec_command") {
		return command
	}
	b, _ := json.Marshal(map[string]string{"cmd": command}) // strings
	return "const r = await tools.exec_command(" + string(b) + "); text(r.output ?? r);"
}

// filler is a value for an argument that has to be there.
func (s schema) filler() any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("null"), slices.ContainsFunc(s.AnyOf, func(one schema) bool { return one.is("null") }):
		return nil
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].filler()
	case s.is("boolean"):
		return false
	case s.is("integer"), s.is("number"):
		return 30000
	case s.is("array"):
		return []any{}
	case s.is("object"):
		return map[string]any{}
	}
	return "as asked"
}
