package fakemodel

import (
	"encoding/json"
	"net/http"
	"strings"
)

// responses is OpenAI's newer interface.
type responses struct{}

func (responses) name() string { return Responses }

func (responses) key(r *http.Request) string { return bearer(r) }

// declared is a tool, or a group of them, in the list of tools or, as Codex
// does it, in the conversation.
type declared struct {
	Name        string     `json:"name"`
	Type        string     `json:"type"`
	Description string     `json:"description"`
	Schema      schema     `json:"parameters"`
	Tools       []declared `json:"tools"`
}

func (a *ask) declare(tools []declared, group string) {
	for _, t := range tools {
		if t.Type == "namespace" {
			a.declare(t.Tools, t.Name)
			continue
		}
		if t.Name == "" {
			t.Name = t.Type // tools that the interface itself knows
		}
		a.tools = append(a.tools, Tool{Name: t.Name, Kind: t.Type, Group: group, About: t.Description, Schema: t.Schema})
	}
}

func (responses) read(b []byte, a *ask) error {
	var in struct {
		Model  string          `json:"model"`
		Stream bool            `json:"stream"`
		Input  json.RawMessage `json:"input"`
		Tools  []declared      `json:"tools"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	a.model, a.stream = in.Model, in.Stream
	a.declare(in.Tools, "")
	if json.Unmarshal(in.Input, &a.last) == nil {
		return nil
	}
	var items []struct {
		Type    string     `json:"type"`
		Content content    `json:"content"`
		Output  content    `json:"output"`
		Tools   []declared `json:"tools"`
	}
	if err := json.Unmarshal(in.Input, &items); err != nil {
		return err
	}
	for n, i := range items {
		a.declare(i.Tools, "")
		switch {
		case strings.HasSuffix(i.Type, "_call_output"):
			a.result(n > 0 && strings.HasSuffix(items[n-1].Type, "_call_output"))
			a.last = string(i.Output)
		case i.Type == "message" || i.Type == "":
			a.last = string(i.Content)
		}
	}
	return nil
}

// items are what an answer consists of, whole.
func (responses) items(r answer) (list []map[string]any) {
	if r.text != "" {
		part := map[string]any{"type": "output_text", "text": r.text, "annotations": []any{}}
		list = append(list, map[string]any{"id": "msg_" + r.id, "type": "message", "role": "assistant", "status": "completed", "content": []any{part}})
	}
	for _, c := range r.calls {
		list = append(list, c.item())
	}
	return list
}

// item is a call as its kind of tool wants it.
func (c call) item() map[string]any {
	item := map[string]any{"id": "fc_" + c.id, "call_id": c.id, "status": "completed"}
	if c.tool.Group != "" {
		item["namespace"] = c.tool.Group
	}
	switch c.tool.Kind {
	case "custom":
		item["type"], item["name"], item["input"] = "custom_tool_call", c.tool.Name, c.script
	case "local_shell":
		item["type"] = "local_shell_call"
		item["action"] = map[string]any{"type": "exec", "command": []string{"sh", "-c", c.script}, "env": map[string]any{}}
	default:
		item["type"], item["name"], item["arguments"] = "function_call", c.tool.Name, c.json()
	}
	return item
}

func (d responses) response(a ask, r answer, status string, output []map[string]any) map[string]any {
	if output == nil {
		output = []map[string]any{}
	}
	v := map[string]any{"id": "resp_" + r.id, "object": "response", "created_at": 1, "model": a.model, "status": status, "output": output,
		"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": map[string]any{}, "parallel_tool_calls": false, "tool_choice": "auto", "tools": []any{}, "usage": nil}
	if status == "completed" {
		v["usage"] = map[string]any{"input_tokens": a.in, "input_tokens_details": map[string]any{"cached_tokens": 0},
			"output_tokens": r.out, "output_tokens_details": map[string]any{"reasoning_tokens": 0}, "total_tokens": a.in + r.out}
	}
	return v
}

func (d responses) whole(a ask, r answer) any { return d.response(a, r, "completed", d.items(r)) }

func (d responses) events(a ask, r answer) (list []event) {
	add := func(name string, data map[string]any) {
		data["type"], data["sequence_number"] = name, len(list)
		list = append(list, event{name, data})
	}
	add("response.created", map[string]any{"response": d.response(a, r, "in_progress", nil)})
	for i, item := range d.items(r) {
		at := func(more map[string]any) map[string]any {
			more["output_index"], more["item_id"] = i, item["id"]
			return more
		}
		begun := map[string]any{}
		for k, v := range item {
			begun[k] = v
		}
		begun["status"] = "in_progress"
		switch item["type"] {
		case "message":
			begun["content"] = []any{}
			add("response.output_item.added", at(map[string]any{"item": begun}))
			empty := map[string]any{"type": "output_text", "text": "", "annotations": []any{}}
			add("response.content_part.added", at(map[string]any{"content_index": 0, "part": empty}))
			for _, piece := range pieces(r.text) {
				add("response.output_text.delta", at(map[string]any{"content_index": 0, "delta": piece}))
			}
			add("response.output_text.done", at(map[string]any{"content_index": 0, "text": r.text}))
			add("response.content_part.done", at(map[string]any{"content_index": 0, "part": item["content"].([]any)[0]}))
		case "function_call":
			begun["arguments"] = ""
			add("response.output_item.added", at(map[string]any{"item": begun}))
			args := item["arguments"].(string)
			for _, piece := range pieces(args) {
				add("response.function_call_arguments.delta", at(map[string]any{"delta": piece}))
			}
			add("response.function_call_arguments.done", at(map[string]any{"arguments": args}))
		default:
			add("response.output_item.added", at(map[string]any{"item": begun}))
		}
		add("response.output_item.done", at(map[string]any{"item": item}))
	}
	add("response.completed", map[string]any{"response": d.response(a, r, "completed", d.items(r))})
	return list
}

func (responses) refuse(status int, message string) any { return chat{}.refuse(status, message) }
