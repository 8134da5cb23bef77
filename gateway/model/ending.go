package model

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Ending is how a provider says, in the middle of a stream, that it can go on no
// longer: what a program inside understands, and does not try again at once.
func Ending(api API, path string, why error, events int64) []byte {
	var b []byte
	event := func(name string, data any) {
		if name != "" {
			b = fmt.Appendf(b, "event: %s\n", name)
		}
		text, _ := json.Marshal(data) // texts and numbers
		b = fmt.Appendf(b, "data: %s\n\n", text)
	}
	message := "Nacre, the sandbox that you run in, ends this: " + why.Error()
	type fields = map[string]any
	const spent = "insufficient_quota"
	switch {
	case api == Gemini:
		event("", fields{"error": fields{"code": 403, "message": message, "status": "PERMISSION_DENIED"}})
	case api == Anthropic:
		event("error", fields{"type": "error", "error": fields{"type": "billing_error", "message": message}})
	case strings.HasSuffix(path, "/responses"):
		event("error", fields{"type": "error", "sequence_number": events, "code": spent, "message": message, "param": nil})
		event("response.failed", fields{"type": "response.failed", "sequence_number": events + 1, "response": fields{"id": "resp_ended", "object": "response",
			"status": "failed", "output": []any{}, "error": fields{"code": spent, "message": message}}})
	default:
		event("", fields{"error": fields{"type": spent, "code": spent, "message": message, "param": nil}})
		b = append(b, "data: [DONE]\n\n"...)
	}
	return b
}
