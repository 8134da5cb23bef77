package fakemodel

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// gemini is Google's interface.
type gemini struct{}

func (gemini) name() string { return Gemini }

func (gemini) key(r *http.Request) string {
	if key := r.Header.Get("X-Goog-Api-Key"); key != "" {
		return key
	}
	return r.URL.Query().Get("key")
}

func (gemini) read(b []byte, a *ask) error {
	var in struct {
		Contents []struct {
			Parts []struct {
				Text     string `json:"text"`
				Response *struct {
					Response json.RawMessage `json:"response"`
				} `json:"functionResponse"`
			} `json:"parts"`
		} `json:"contents"`
		Tools []struct {
			Functions []struct {
				Name   string  `json:"name"`
				Schema *schema `json:"parameters"`
				JSON   *schema `json:"parametersJsonSchema"`
			} `json:"functionDeclarations"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	for _, c := range in.Contents {
		a.last = ""
		for i, p := range c.Parts {
			a.last += p.Text
			if p.Response != nil {
				a.result(i > 0 && c.Parts[i-1].Response != nil)
				a.last += string(p.Response.Response)
			}
		}
	}
	for _, t := range in.Tools {
		for _, f := range t.Functions {
			tool := Tool{Name: f.Name, Kind: "function"}
			for _, s := range []*schema{f.Schema, f.JSON} {
				if s != nil {
					tool.Schema = *s
				}
			}
			a.tools = append(a.tools, tool)
		}
	}
	return nil
}

// candidate is a piece of an answer; the last one says why it ends.
func (gemini) candidate(a ask, r answer, parts []any, last bool) map[string]any {
	c := map[string]any{"index": 0, "content": map[string]any{"role": "model", "parts": parts}}
	if last {
		c["finishReason"] = "STOP"
	}
	return map[string]any{"candidates": []any{c}, "modelVersion": a.model, "responseId": r.id,
		"usageMetadata": map[string]any{"promptTokenCount": a.in, "candidatesTokenCount": r.out, "totalTokenCount": a.in + r.out}}
}

func (gemini) called(c call) any {
	return map[string]any{"functionCall": map[string]any{"id": c.id, "name": c.tool.Name, "args": c.args}, "thoughtSignature": seal(c)}
}

// seal is what comes back with a call from a client that keeps to the rules.
func seal(c call) string { return base64.StdEncoding.EncodeToString([]byte("seal of " + c.tool.Name)) }

func (d gemini) whole(a ask, r answer) any {
	var parts []any
	if r.text != "" {
		parts = append(parts, map[string]any{"text": r.text})
	}
	for _, c := range r.calls {
		parts = append(parts, d.called(c))
	}
	return d.candidate(a, r, parts, true)
}

func (d gemini) events(a ask, r answer) (list []event) {
	parts := []any{}
	for _, piece := range pieces(r.text) {
		parts = append(parts, map[string]any{"text": piece})
	}
	for _, c := range r.calls {
		parts = append(parts, d.called(c))
	}
	for i, part := range parts {
		list = append(list, event{"", d.candidate(a, r, []any{part}, i == len(parts)-1)})
	}
	return list
}

func (gemini) refuse(status int, message string) any {
	return map[string]any{"error": map[string]any{"code": status, "message": message, "status": http.StatusText(status)}}
}
