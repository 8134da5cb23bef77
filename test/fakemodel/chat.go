package fakemodel

import (
	"encoding/json"
	"net/http"
)

// chat is OpenAI's older interface, which many others speak too.
type chat struct{}

func (chat) name() string { return Chat }

func (chat) key(r *http.Request) string { return bearer(r) }

func (chat) read(b []byte, a *ask) error {
	var in struct {
		Model   string `json:"model"`
		Stream  bool   `json:"stream"`
		Options struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
		Messages []struct {
			Role    string  `json:"role"`
			Content content `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Type     string `json:"type"`
			Function struct {
				Name   string `json:"name"`
				Schema schema `json:"parameters"`
			} `json:"function"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	a.model, a.stream, a.usage = in.Model, in.Stream, in.Options.Usage
	for i, m := range in.Messages {
		if m.Role == "tool" {
			a.result(i > 0 && in.Messages[i-1].Role == "tool")
		}
		a.last = string(m.Content)
	}
	for _, t := range in.Tools {
		a.tools = append(a.tools, Tool{Name: t.Function.Name, Kind: t.Type, Schema: t.Function.Schema})
	}
	return nil
}

func (chat) stop(r answer) string {
	if r.calls != nil {
		return "tool_calls"
	}
	return "stop"
}

func (chat) used(a ask, r answer) map[string]any {
	return map[string]any{"prompt_tokens": a.in, "completion_tokens": r.out, "total_tokens": a.in + r.out}
}

func (chat) called(i int, c call, args string) map[string]any {
	return map[string]any{"index": i, "id": c.id, "type": "function", "function": map[string]any{"name": c.tool.Name, "arguments": args}}
}

func (d chat) whole(a ask, r answer) any {
	message := map[string]any{"role": "assistant", "content": nil}
	if r.text != "" {
		message["content"] = r.text
	}
	if r.calls != nil {
		list := []any{}
		for i, c := range r.calls {
			list = append(list, d.called(i, c, c.json()))
		}
		message["tool_calls"] = list
	}
	return map[string]any{"id": "chatcmpl-" + r.id, "object": "chat.completion", "created": 1, "model": a.model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": d.stop(r)}}, "usage": d.used(a, r)}
}

func (d chat) events(a ask, r answer) (list []event) {
	chunk := func(choices []any, usage any) {
		c := map[string]any{"id": "chatcmpl-" + r.id, "object": "chat.completion.chunk", "created": 1, "model": a.model, "choices": choices}
		if a.usage {
			c["usage"] = usage
		}
		list = append(list, event{"", c})
	}
	delta := func(d map[string]any, stop any) {
		chunk([]any{map[string]any{"index": 0, "delta": d, "finish_reason": stop}}, nil)
	}
	delta(map[string]any{"role": "assistant", "content": ""}, nil)
	for _, piece := range pieces(r.text) {
		delta(map[string]any{"content": piece}, nil)
	}
	for i, c := range r.calls {
		delta(map[string]any{"tool_calls": []any{d.called(i, c, "")}}, nil)
		for _, piece := range pieces(c.json()) {
			delta(map[string]any{"tool_calls": []any{map[string]any{"index": i, "function": map[string]any{"arguments": piece}}}}, nil)
		}
	}
	delta(map[string]any{}, d.stop(r))
	if a.usage {
		chunk([]any{}, d.used(a, r))
	}
	return append(list, event{"", "[DONE]"})
}

func (chat) refuse(status int, message string) any {
	kind := "invalid_request_error"
	if status >= http.StatusInternalServerError {
		kind = "server_error"
	}
	return map[string]any{"error": map[string]any{"message": message, "type": kind, "code": nil}}
}
