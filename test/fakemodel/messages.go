package fakemodel

import (
	"encoding/json"
	"net/http"
)

// messages is Anthropic's interface.
type messages struct{}

func (messages) name() string { return Messages }

func (messages) key(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	return bearer(r)
}

func (messages) read(b []byte, a *ask) error {
	var in struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Name   string `json:"name"`
			Schema schema `json:"input_schema"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	a.model, a.stream = in.Model, in.Stream
	for _, m := range in.Messages {
		var parts []struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(m.Content, &parts) // a plain text has no parts
		for i, p := range parts {
			if p.Type == "tool_result" {
				a.result(i > 0 && parts[i-1].Type == "tool_result")
			}
		}
		var text content
		if err := json.Unmarshal(m.Content, &text); err != nil {
			return err
		}
		a.last = string(text)
	}
	for _, t := range in.Tools {
		a.tools = append(a.tools, Tool{Name: t.Name, Kind: "function", Schema: t.Schema})
	}
	return nil
}

func (messages) stop(r answer) string {
	if r.calls != nil {
		return "tool_use"
	}
	return "end_turn"
}

func (messages) blocks(r answer) (list []map[string]any) {
	if r.text != "" {
		list = append(list, map[string]any{"type": "text", "text": r.text})
	}
	for _, c := range r.calls {
		list = append(list, map[string]any{"type": "tool_use", "id": c.id, "name": c.tool.Name, "input": c.args})
	}
	return list
}

func (d messages) whole(a ask, r answer) any {
	return map[string]any{"id": "msg_" + r.id, "type": "message", "role": "assistant", "model": a.model, "content": d.blocks(r),
		"stop_reason": d.stop(r), "stop_sequence": nil, "usage": map[string]any{"input_tokens": a.in, "output_tokens": r.out}}
}

func (d messages) events(a ask, r answer) []event {
	start := map[string]any{"id": "msg_" + r.id, "type": "message", "role": "assistant", "model": a.model, "content": []any{},
		"stop_reason": nil, "stop_sequence": nil, "usage": map[string]any{"input_tokens": a.in, "output_tokens": 1}}
	list := []event{{"message_start", map[string]any{"type": "message_start", "message": start}}}
	for i, block := range d.blocks(r) {
		delta, field, text := "text_delta", "text", r.text
		if block["type"] == "tool_use" {
			b, _ := json.Marshal(block["input"]) // of this package's making
			delta, field, text = "input_json_delta", "partial_json", string(b)
			block["input"] = map[string]any{}
		} else {
			block["text"] = ""
		}
		list = append(list, event{"content_block_start", map[string]any{"type": "content_block_start", "index": i, "content_block": block}})
		for _, piece := range pieces(text) {
			list = append(list, event{"content_block_delta", map[string]any{"type": "content_block_delta", "index": i, "delta": map[string]any{"type": delta, field: piece}}})
		}
		list = append(list, event{"content_block_stop", map[string]any{"type": "content_block_stop", "index": i}})
	}
	return append(list,
		event{"message_delta", map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": d.stop(r), "stop_sequence": nil},
			"usage": map[string]any{"output_tokens": r.out}}},
		event{"message_stop", map[string]any{"type": "message_stop"}})
}

func (messages) refuse(status int, message string) any {
	kind := map[int]string{400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}[status]
	if kind == "" {
		kind = "api_error"
	}
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": message}}
}
